"""A process that hangs and wakes up later."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from hack.process import OperatorProcess


@contextmanager
def frozen(process: OperatorProcess) -> Iterator[int]:
    """Stopped inside, as a machine that hangs; then it goes on and believes it leads."""
    pid = process.pid
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        yield pid
    finally:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)
