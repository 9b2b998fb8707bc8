"""Cuts a container's log into records and keeps the newest. Pure but for what it holds."""

from collections import deque
from typing import Final

from microapp_operator.cli.records import Record, parse_time, read_record

LONGEST: Final = 64 * 2**10
"""Bytes of a line; as many as the launcher puts into one record."""
_STAMP: Final = 64
"""Bytes that the time before each line may take."""
_REMARKS: Final = 3


class LogLines:
    """Takes the log piece by piece. keep: at most so many records, the last ones. trace: only those of this trace.

    A line without a time isn't the app's: the node says so where it can't read the rest.
    """

    def __init__(self, *, keep: int, trace: str | None) -> None:
        self.records: deque[Record] = deque(maxlen=keep)
        self.remarks: deque[str] = deque(maxlen=_REMARKS)
        self._trace = trace
        self._line = bytearray()
        self._cut = 0

    def take(self, piece: bytes) -> None:
        """The next piece, wherever it begins and ends."""
        first, *others = piece.split(b"\n")
        self._grow(first)
        for each in others:
            self.end()
            self._grow(each)

    def end(self) -> None:
        """The line ends here, or the log does."""
        line, cut = bytes(self._line), self._cut
        self._line.clear()
        self._cut = 0
        stamp, _, said = line.partition(b" ")
        read_at = parse_time(stamp.decode(errors="replace"))
        if not read_at:
            self._remark(line)
            return
        said = said.removesuffix(b"\r")
        if not said:
            return
        record = read_record(said + f" [{cut} more bytes]".encode() if cut else said, read_at)
        if self._trace in (None, record.trace):
            self.records.append(record)

    def _grow(self, part: bytes) -> None:
        room = max(0, LONGEST + _STAMP - len(self._line))
        self._line += part[:room]
        self._cut += max(0, len(part) - room)

    def _remark(self, line: bytes) -> None:
        if text := line.decode(errors="replace").strip():
            self.remarks.append(text)
