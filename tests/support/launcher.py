"""Words that start the launcher as the parent of an app, with a receiver on this machine."""

import sys
from pathlib import Path

from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER

ROOM = 8 * 2**20
"""Bytes of records that may wait, which is the least there can be."""


def words(
    port: int, spool: Path, *command: str, drain: int = 120, room: int = ROOM, follow: Path | None = None
) -> list[str]:
    """Of a launcher that sends to ``port``. follow: the file that the app writes to instead of standard output."""
    ensure_built(LAUNCHER)
    options = ["--forward", f"http://127.0.0.1:{port}/v1/logs", "--spool", str(spool)]
    options += ["--follow", str(follow)] if follow else []
    return [str(binary(LAUNCHER)), "run", *options, "--room", str(room), "--drain", str(drain), "--", *command]


def python(code: str) -> tuple[str, ...]:
    """Words of an app that runs ``code``."""
    return (sys.executable, "-c", code)
