"""Daemons of one lab: started detached, known by pid and start time, ended without touching any other."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hack.lab.build import LabError

_GRACE = 15.0


@dataclass(frozen=True)
class Daemon:
    """One running process; ``started`` (clock ticks since boot) and ``program`` tell it from a later one of its pid."""

    name: str
    pid: int
    started: int
    program: str

    def alive(self) -> bool:
        """True while this very process runs; after a reboot pid and ticks alone could be another's.

        Between exec and the end of loading, which takes long from a cold disk, a process has no command line yet.
        """
        return _start_time(self.pid) == self.started and _program(self.pid) in ("", self.program)


def start(name: str, command: list[str], folder: Path, *, user: str | None = None) -> Daemon:
    """Start ``command`` in a session of its own, its output in ``folder/logs/name.log``; records it.

    user: whom it runs as instead of whom we are.
    """
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder if user is None else "/",
            **identity(user),
        )
    started = _start_time(process.pid)
    if started is None:
        raise LabError(f"{name} ended at once; see {log}")
    daemon = Daemon(name, process.pid, started, command[0])
    _record(folder, [*recorded(folder), daemon])
    return daemon


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of ``subprocess`` that make a process run as ``user`` alone, none of our groups kept."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def recorded(folder: Path) -> list[Daemon]:
    """The daemons this lab started, alive or not."""
    file = folder / "daemons.json"
    return [Daemon(**entry) for entry in json.loads(file.read_text())] if file.exists() else []


def stop_all(folder: Path) -> None:
    """End this lab's daemons, last started first: politely, then after a while by force.

    Those of labs within it, such as Vault's, end before them, and what they keep elsewhere goes.
    """
    for nested in folder.glob("*/daemons.json"):
        stop_all(nested.parent)
    for daemon in reversed(recorded(folder)):
        _stop(daemon)
    for line in _outside(folder).read_text().splitlines() if _outside(folder).exists() else ():
        shutil.rmtree(line, ignore_errors=True)


def stop_one(folder: Path, name: str, number: int = signal.SIGTERM) -> None:
    """End the daemon ``name`` with ``number`` first, and know it no more; none of that name is fine."""
    for daemon in [d for d in recorded(folder) if d.name == name]:
        _stop(daemon, number)
    _record(folder, [d for d in recorded(folder) if d.name != name])


def note_outside(folder: Path, path: Path) -> None:
    """``path``, which isn't in ``folder``, belongs to this lab and goes with it."""
    with _outside(folder).open("a") as file:
        file.write(f"{path}\n")


def _outside(folder: Path) -> Path:
    return folder / "outside"


def wait_until(what: str, ready: Callable[[], bool], folder: Path, *, timeout: float = 60.0) -> None:
    """Poll ``ready`` until it is true; LabError with the log's tail when a daemon dies or time is up."""
    deadline = time.monotonic() + timeout
    while not ready():
        dead = [d for d in recorded(folder) if not d.alive()]
        if dead or time.monotonic() > deadline:
            names = [d.name for d in dead] or [what]
            raise LabError("\n".join(f"{name} is not up:\n{_tail(folder, name)}" for name in names))
        time.sleep(0.1)


def _stop(daemon: Daemon, first: int = signal.SIGTERM) -> None:
    for number in (first, signal.SIGKILL):
        if not daemon.alive():
            break
        os.kill(daemon.pid, number)
        deadline = time.monotonic() + _GRACE
        while daemon.alive() and time.monotonic() < deadline:
            _reap(daemon.pid)
            time.sleep(0.05)


def _reap(pid: int) -> None:
    """Collect ``pid`` if it is a child of this process, so that it doesn't stay a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _record(folder: Path, daemons: list[Daemon]) -> None:
    partial = folder / "daemons.json.partial"
    partial.write_text(json.dumps([asdict(d) for d in daemons]))
    partial.rename(folder / "daemons.json")


def _start_time(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)); None when there is no such process, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _program(pid: int) -> str | None:
    """The first word of the command line of ``pid``; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").partition("\0")[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _tail(folder: Path, name: str) -> str:
    log = folder / "logs" / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"
