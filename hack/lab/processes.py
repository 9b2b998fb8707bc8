"""Daemons of one lab: started detached, known by pid and start time, ended without touching any other."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hack.lab.build import LabError

_GRACE = 15.0


@dataclass(frozen=True)
class Daemon:
    """One running process; ``started`` (clock ticks since boot) and ``program`` tell it from a later one of its pid.

    starter: pid and start of what stays around it while it runs, for one that was started in other namespaces.
    """

    name: str
    pid: int
    started: int
    program: str
    starter: tuple[int, int] = (0, 0)

    def alive(self) -> bool:
        """True while this very process runs; after a reboot pid and ticks alone could be another's.

        Between exec and the end of loading, which takes long from a cold disk, a process has no command line yet.
        """
        return _start_time(self.pid) == self.started and _program(self.pid) in ("", self.program)

    def gone(self) -> bool:
        """True when nothing of it is left: its starter ends by itself, but a moment later."""
        pid, started = self.starter
        return not self.alive() and (not pid or _start_time(pid) != started)


def start(name: str, command: Sequence[str], folder: Path, *, enter: Sequence[str] = (), keep: int = -1) -> Daemon:
    """Start ``command`` in a session of its own, its output in ``folder/logs/name.log``; records it by its name.

    enter: a command that starts ``command`` as its only child, in other namespaces. keep: a descriptor it inherits.
    """
    log = folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
            pass_fds=() if keep < 0 else (keep,),
        )
    pid = _child(process, command[0]) if enter else process.pid
    starter = (process.pid, _start_time(process.pid) or 0) if enter else (0, 0)
    return _known(Daemon(name, pid, _start_time(pid) or 0, command[0], starter), folder)


def start_as(user: str | None, name: str, command: Sequence[str], folder: Path) -> Daemon:
    """The same under another account, which may not see ``folder``; None: under ours."""
    log = folder / "logs" / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            **identity(user),
        )
    return _known(Daemon(name, process.pid, _start_time(process.pid) or 0, command[0]), folder)


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of ``subprocess`` that make a process run as ``user`` alone, none of our groups kept."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def daemon_of(folder: Path, name: str) -> Daemon:
    """The daemon of that name, alive or not; LabError when this lab never started one."""
    for daemon in recorded(folder):
        if daemon.name == name:
            return daemon
    raise LabError(f"no daemon {name} was started in {folder}")


def recorded(folder: Path) -> list[Daemon]:
    """The daemons this lab started, alive or not."""
    file = folder / "daemons.json"
    entries = json.loads(file.read_text()) if file.exists() else []
    return [Daemon(**{**entry, "starter": tuple(entry.get("starter", (0, 0)))}) for entry in entries]


def stop_all(folder: Path) -> None:
    """End this lab's daemons, last started first: politely, then after a while by force."""
    for daemon in reversed(recorded(folder)):
        stop(daemon)
    for line in _outside(folder).read_text().splitlines() if _outside(folder).exists() else ():
        shutil.rmtree(line, ignore_errors=True)


def stop_one(folder: Path, name: str) -> None:
    """End the daemon ``name``, and know it no more: its lab runs without it; none of that name is fine."""
    for daemon in [d for d in recorded(folder) if d.name == name]:
        stop(daemon)
    _record(folder, [d for d in recorded(folder) if d.name != name])


def note_outside(folder: Path, path: Path) -> None:
    """``path``, which isn't in ``folder``, belongs to this lab and goes with its daemons."""
    with _outside(folder).open("a") as file:
        file.write(f"{path}\n")


def _outside(folder: Path) -> Path:
    return folder / "outside"


def kill_all(folder: Path) -> None:
    """End this lab's daemons by force, all at once: for those whose state nobody needs any more."""
    daemons = recorded(folder)
    for daemon in daemons:
        if daemon.alive():
            os.kill(daemon.pid, signal.SIGKILL)
    for daemon in daemons:
        stop(daemon)


def stop(daemon: Daemon) -> None:
    """End one daemon, which stays recorded: a lab that lacks one isn't running."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not daemon.alive():
            break
        os.kill(daemon.pid, number)
        deadline = time.monotonic() + _GRACE
        while daemon.alive() and time.monotonic() < deadline:
            _reap(daemon.pid)
            time.sleep(0.05)
    deadline = time.monotonic() + _GRACE
    while not daemon.gone() and time.monotonic() < deadline:
        time.sleep(0.01)


def wait_until(what: str, ready: Callable[[], bool], folder: Path, *, timeout: float = 60.0) -> None:
    """Poll ``ready`` until it is true; LabError with the log's tail when a daemon dies or time is up."""
    deadline = time.monotonic() + timeout
    while not ready():
        dead = [d for d in recorded(folder) if not d.alive()]
        if dead or time.monotonic() > deadline:
            names = [d.name for d in dead] or [what]
            raise LabError("\n".join(f"{name} is not up:\n{_tail(folder, name)}" for name in names))
        time.sleep(0.1)


def _known(daemon: Daemon, folder: Path) -> Daemon:
    """Record ``daemon`` by its name; LabError when it has ended already."""
    if not daemon.started:
        raise LabError(f"{daemon.name} ended at once:\n{_tail(folder, daemon.name)}")
    _record(folder, [*(d for d in recorded(folder) if d.name != daemon.name), daemon])
    return daemon


def _child(process: "subprocess.Popen[bytes]", program: str) -> int:
    """The pid of the only child of ``process`` once it runs ``program``; its own pid when it ends before that."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        for pid in map(int, children.read_text().split()):
            if _program(pid) == program:
                return pid
        time.sleep(0.005)
    return process.pid


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
