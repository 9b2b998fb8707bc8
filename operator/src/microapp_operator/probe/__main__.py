"""``python -m microapp_operator.probe gate|check|listen|answers``: what the pods run.

No argument parser, and each command imports its own only: it must start fast.
"""

import os
import signal
import sys

from microapp_operator.probe import (
    API_HOST_VARIABLE,
    API_PORT_VARIABLE,
    CLOSED_BY_TARGET,
    CLOSED_TO_CALLERS,
    DEADLINE_VARIABLE,
    OPEN_PORT,
    TARGETS_VARIABLE,
)

_USAGE = "usage: python -m microapp_operator.probe gate|check|listen|answers"
_PORTS = (OPEN_PORT, CLOSED_TO_CALLERS, CLOSED_BY_TARGET)


def main(arguments: list[str]) -> int:
    """Exit status: 0 as it should be, 1 not so, 2 used wrongly."""
    match arguments:
        case ["gate"]:
            return _gate()
        case ["check"]:
            return _check()
        case ["listen"]:
            from microapp_operator.probe.listen import listen  # noqa: PLC0415 - each command loads its own only

            listen(_PORTS)
            return 0
        case ["answers"]:
            from microapp_operator.probe.connect import answers  # noqa: PLC0415

            return 0 if all(answers("127.0.0.1", p, k, 1.0) for p in _PORTS for k in ("TCP", "UDP")) else 1
        case _:
            print(_USAGE, file=sys.stderr)  # noqa: T201
            return 2


def _gate() -> int:
    from microapp_operator.probe.gate import wait_until_denied  # noqa: PLC0415

    host, port = os.environ.get(API_HOST_VARIABLE), os.environ.get(API_PORT_VARIABLE, "443")
    if not host:
        print(f"{API_HOST_VARIABLE} is not set: this runs in a pod", file=sys.stderr)  # noqa: T201
        return 2
    if wait_until_denied(host, int(port), float(os.environ.get(DEADLINE_VARIABLE, "60"))):
        return 0
    print(  # noqa: T201
        f"The API server ({host}:{port}) can still be reached from this pod: no network policy is enforced here, so "
        "the app is not started. Fix: have an admin look at the node's network plugin.",
        file=sys.stderr,
    )
    return 1


def _check() -> int:
    from microapp_operator.probe.check import check  # noqa: PLC0415
    from microapp_operator.probe.wire import TERMINATION_LOG, read_targets, write_report  # noqa: PLC0415

    report = check(read_targets(os.environ[TARGETS_VARIABLE]), float(os.environ.get(DEADLINE_VARIABLE, "10")))
    TERMINATION_LOG.write_text(write_report(report))
    return 1 if report.leaks or report.unreached else 0


if __name__ == "__main__":
    # The first process of a container gets no signal it doesn't ask for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
