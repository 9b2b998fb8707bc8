"""One look at the network from a fresh pod: tries every target, again and again until all is as it should be.

A pod that has just started may be open until its node's enforcer has heard of it; how long that takes is part of the
report. What is still open at the deadline is a leak.
"""

import threading
import time

from microapp_operator.probe.connect import answers
from microapp_operator.probe.wire import Report, Target

_TRY = 1.0
"""Seconds one target gets; enforcers that drop silently cost that much."""
_PAUSE = 0.1


def check(targets: tuple[Target, ...], deadline: float) -> Report:
    """The report on ``targets`` after at most about ``deadline`` seconds."""
    begin, confined_after = time.monotonic(), None
    while True:
        answered = try_all(targets)
        leaks = tuple(t.name for t in targets if not t.open and t in answered)
        unreached = tuple(t.name for t in targets if t.open and t not in answered)
        passed = time.monotonic() - begin
        if leaks:
            confined_after = None
        elif confined_after is None:
            confined_after = round(passed, 3)
        if (not leaks and not unreached) or passed > deadline:
            return Report(leaks, unreached, confined_after)
        time.sleep(_PAUSE)


def try_all(targets: tuple[Target, ...]) -> set[Target]:
    """Those that answer now; all are tried at once."""
    answered: set[Target] = set()

    def try_one(target: Target) -> None:
        if answers(target.address, int(target.port), target.protocol, _TRY):
            answered.add(target)

    threads = [threading.Thread(target=try_one, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answered
