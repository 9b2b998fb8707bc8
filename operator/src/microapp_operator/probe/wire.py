"""What operator and check tell each other: targets in an environment variable, a report as termination message."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TERMINATION_LOG = Path("/dev/termination-log")
"""core/v1 Container.terminationMessagePath; the kubelet keeps 4,096 bytes of it."""
_MOST = 3500


@dataclass(frozen=True)
class Target:
    """One thing to try. name: what people call it. open: it has to answer; otherwise it must not.

    address and port may be variables that the kubelet fills in: ``$(NAME)``.
    """

    name: str
    address: str
    port: int | str
    protocol: str = "TCP"
    open: bool = False


@dataclass(frozen=True)
class Report:
    """What a check found at its end.

    leaks: names of those that answered and must not. unreached: of those that had to answer and didn't.
    confined_after: seconds from the check's start until nothing answered that must not; None when it never came to
    that.
    """

    leaks: tuple[str, ...]
    unreached: tuple[str, ...]
    confined_after: float | None


def write_targets(targets: tuple[Target, ...]) -> str:
    """As the environment variable has them."""
    return json.dumps([asdict(t) for t in targets], separators=(",", ":"))


def read_targets(text: str) -> tuple[Target, ...]:
    """Back; ValueError or TypeError for anything else."""
    return tuple(Target(**{**each, "port": int(each["port"])}) for each in json.loads(text))


def write_report(report: Report) -> str:
    """As the termination message has it; of very many names the first ones."""
    for count in (50, 10, 2):
        shown = Report(report.leaks[:count], report.unreached[:count], report.confined_after)
        text = json.dumps(asdict(shown), separators=(",", ":"))
        if len(text) <= _MOST:
            break
    return text


def read_report(text: str) -> Report | None:
    """Back; None for what is no report: a container that ended in another way leaves other words."""
    try:
        found: Any = json.loads(text)
        after = found["confined_after"]
        return Report(tuple(found["leaks"]), tuple(found["unreached"]), None if after is None else float(after))
    except (ValueError, TypeError, KeyError):
        return None
