"""What the operator knows of a canary, as its metrics say. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class CanaryState:
    """Whether records that one pod of the gateway sent were found at a sink's backend.

    deadline: how long that may take. read_back: when the newest that was found had been sent. missing_since: when the
    first was sent since which none has been. answer: what the backend said last.
    """

    pod: str
    sink: str
    deadline: timedelta
    read_back: datetime | None = None
    missing_since: datetime | None = None
    answer: str = ""
