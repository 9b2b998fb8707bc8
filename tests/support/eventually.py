"""Waiting for what a cluster will do."""

import time
from collections.abc import Callable


def eventually(check: Callable[[], object], wanted: object = True, *, timeout: float = 30.0) -> None:
    """Poll ``check`` until it gives ``wanted``; the last answer is in the failure."""
    deadline = time.monotonic() + timeout
    got = check()
    while got != wanted:
        assert time.monotonic() < deadline, f"wanted {wanted!r}, last got {got!r}"
        time.sleep(0.05)
        got = check()
