"""Standard output of commands whose text comes from others: apps, files, clusters."""

import os
import sys


def write(text: str) -> None:
    """All of ``text``; whoever reads it may have read enough before its end."""
    try:
        sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # Python would complain again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
