"""The clock of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """``ports.Clock`` of the machine."""

    def now(self) -> datetime:
        """The current time, in UTC."""
        return datetime.now(UTC)
