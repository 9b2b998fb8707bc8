"""Which files are meant, and what is in them. What can't be read is said, never passed over."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".yaml", ".yml", ".json")
_FILE_MAX: Final = 16 * 2**20
"""Bytes of one file; the API server takes requests of 3 MiB."""
_STDIN: Final = "stdin"


@dataclass(frozen=True, slots=True)
class Source:
    """One file. name: as given, or found in a folder. given: the user named it."""

    name: str
    data: bytes
    given: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that can't be read as Kubernetes objects: where, what, and how to fix it. line 0: no line."""

    file: str
    line: int
    what: str
    fix: str

    def text(self) -> str:
        """One line."""
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.what} Fix: {self.fix}"


def read_sources(paths: Iterable[str]) -> Iterator[Source | Problem]:
    """Files, folders (all of ``SUFFIXES`` below them, but nothing hidden), or - for standard input."""
    for path in paths:
        if path == "-":
            yield _bounded(_STDIN, sys.stdin.buffer.read(_FILE_MAX + 1), given=True)
        elif os.path.isdir(path):
            yield from _folder(path)
        else:
            yield _file(path, given=True)


def _folder(root: str) -> Iterator[Source | Problem]:
    closed: list[OSError] = []
    empty = True
    for folder, folders, files in os.walk(root, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                empty = False
                yield _file(os.path.join(folder, name), given=False)
    for error in closed:
        yield _unreadable(str(error.filename), error)
    if empty and not closed:
        what = f"there is no file in it that ends with {', '.join(SUFFIXES)}."
        yield Problem(root, 0, what, "Name the folder that holds the manifests.")


def _file(path: str, *, given: bool) -> Source | Problem:
    try:
        with Path(path).open("rb") as opened:
            return _bounded(path, opened.read(_FILE_MAX + 1), given=given)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return _unreadable(path, error)


def _bounded(name: str, data: bytes, *, given: bool) -> Source | Problem:
    if len(data) > _FILE_MAX:
        return Problem(name, 0, f"is larger than {_FILE_MAX >> 20} MiB.", "Split it.")
    return Source(name, data, given)


def _unreadable(path: str, error: OSError | ValueError) -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem(path, 0, f"can't be read: {reason}.", "Check the path and who may read it.")
