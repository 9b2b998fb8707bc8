"""Reads the audit log as it grows, across rotations, and knows where it stopped when it is started again.

What was told of before a crash may be told again (``request_id`` tells), never left out. Blocks: run it in a thread.
"""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import orjson
import structlog

from microapp_operator.vaultlog import Transformer
from microapp_operator.vaultlog.transform import LONGEST

log = structlog.get_logger(__name__)
_CHUNK: Final = 2**20
_LOOK_EVERY: Final = 0.5
"""Seconds between two looks at a file that has ended: regular files can't be waited for."""


@dataclass(slots=True)
class Lines:
    """Cuts a stream into lines of at most ``LONGEST`` bytes; what is longer comes as an empty line, to be counted."""

    _rest: bytes = b""
    _skipping: bool = False

    def cut(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._skipping and lines:
            lines[0], self._skipping = b"?", False
        if len(self._rest) > LONGEST:
            self._rest, self._skipping = b"", True
        return lines

    def end(self) -> list[bytes]:
        """Nothing more comes: the line that hasn't ended, if there is one."""
        return self.cut(b"\n") if self._rest or self._skipping else []

    def waiting(self) -> int:
        """Bytes that wait for their line to end."""
        return len(self._rest)


@dataclass(slots=True)
class Reader:
    """Feeds a transformer and hands each batch of events to ``write``; ``stop`` ends ``follow``."""

    transformer: Transformer
    write: Callable[[bytes], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def feed(self, lines: list[bytes]) -> None:
        """Hand on the events that ``lines`` complete."""
        self.write(b"".join(_events(self.transformer, lines)))

    def finish(self) -> None:
        """Nothing more comes: hand on what still waits for its response."""
        self.write(b"".join(map(_encode, self.transformer.finish())))

    def read(self, stream: BinaryIO) -> None:
        """Everything of ``stream`` to its end, such as a pipe."""
        lines = Lines()
        while chunk := stream.read1(_CHUNK) if hasattr(stream, "read1") else stream.read(_CHUNK):
            self.feed(lines.cut(chunk))
        self.feed(lines.end())
        self.finish()

    def follow(self, path: Path, state: Path | None, *, forever: bool = True) -> None:
        """The log at ``path`` from where ``state`` says, or its begin; ``forever``: wait for more until stopped."""
        at = self._restore(state)
        while True:
            at = self._follow_one(path, state, at, forever=forever)
            if self.stop.is_set() or not forever:
                return

    def _follow_one(self, path: Path, state: Path | None, at: tuple[int, int], *, forever: bool) -> tuple[int, int]:
        """One file to its end and, when it is replaced, to where the next one begins."""
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            offset = at[1] if at[0] == inode and at[1] <= os.fstat(file.fileno()).st_size else 0
            if at[0] not in (0, inode):
                log.warning("audit_log_replaced", path=str(path), why="what the old file had left is not read")
            file.seek(offset)
            lines = Lines()
            while not self.stop.is_set():
                chunk = file.read(_CHUNK)
                if chunk:
                    self.feed(lines.cut(chunk))
                    self._save(state, inode, file.tell() - lines.waiting())
                elif not forever or self._replaced(path, inode, file.tell()):
                    return (0, 0)
                else:
                    self.stop.wait(_LOOK_EVERY)
            return inode, file.tell() - lines.waiting()

    def _replaced(self, path: Path, inode: int, offset: int) -> bool:
        """Whether a log rotation put another file in place, or cut this one."""
        try:
            now = path.stat()
        except FileNotFoundError:
            return False
        return now.st_ino != inode or now.st_size < offset

    def _restore(self, state: Path | None) -> tuple[int, int]:
        """(inode, offset) to go on from."""
        if state is None or not state.exists():
            return (0, 0)
        kept = orjson.loads(state.read_bytes())
        self.transformer.restore(kept)
        return int(kept["inode"]), int(kept["offset"])

    def _save(self, state: Path | None, inode: int, offset: int) -> None:
        if state is None:
            return
        partial = state.with_suffix(".partial")
        partial.write_bytes(orjson.dumps({"inode": inode, "offset": offset, **self.transformer.state()}))
        partial.rename(state)


def _events(transformer: Transformer, lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        for event in transformer.feed(line):
            yield _encode(event)


def _encode(event: object) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
