"""A machine of the lab: namespaces of its own around a first process that only waits.

Whatever is started in it ends with that first process, and with it go its interfaces, rules and mounts.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.lab.build import LabError
from hack.lab.processes import Daemon, daemon_of, start

ALL = ("mount", "uts", "ipc", "net", "pid")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PRIVATE = ("/var/lib", "/var/log")
"""What a node's programs write to on any machine; each machine of the lab has its own."""
_SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""What a kubelet sets, and no namespace contains: it finds them set already, in files that stand in for them."""


@dataclass(frozen=True)
class Machine:
    """The machine ``name`` of the lab in the folder ``lab``."""

    name: str
    lab: Path

    @property
    def folder(self) -> Path:
        """What it has of its own on disk."""
        return self.lab / "machines" / self.name

    @property
    def root(self) -> Path:
        """Its file system, as seen from here."""
        return Path(f"/proc/{self.first().pid}/root")

    def boot(self) -> None:
        """Make its namespaces: loopback up, /run empty, what nodes write to its own, propagation as on any host."""
        flags = [f"--{name}" for name in ALL]
        unshare = ("unshare", *flags, "--fork", "--kill-child", "--mount-proc")
        start(self.name, [str(self.lab / "bin" / "pause")], self.lab, enter=unshare)
        self.run("hostname", self.name)
        self.run("ip", "link", "set", "lo", "up")
        self.run("mount", "--make-rshared", "/")
        self.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        for path in PRIVATE:
            own = self.folder / path.removeprefix("/")
            own.mkdir(parents=True)
            self.run("mount", "--bind", str(own), path)
            self.run("mount", "--make-private", path)  # else what is mounted here would be at its source as well
            self.run("mount", "--make-shared", path)
        for name, value in _SYSCTLS.items():
            own = self.folder / "sysctl" / name
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(f"{value}\n")
            self.run("mount", "--bind", str(own), f"/proc/sys/{name}")

    def first(self) -> Daemon:
        """Its first process; LabError when it isn't running, so that nobody enters whoever has its pid now."""
        daemon = daemon_of(self.lab, self.name)
        if not daemon.alive():
            raise LabError(f"{self.name} is not running")
        return daemon

    def enter(self, *namespaces: str) -> tuple[str, ...]:
        """The words before a command that run it here, in all or in these namespaces, with an environment of its own.

        More of that environment may follow, as NAME=VALUE.
        """
        flags = [f"--{name}" for name in namespaces or ALL]
        environment = (f"PATH={self.lab / 'bin'}:{_PATH}", "HOME=/root", "TMPDIR=/run")
        return ("nsenter", f"--target={self.first().pid}", *flags, "--", "env", "-i", *environment)

    def start(self, name: str, *command: str, environment: tuple[str, ...] = ()) -> None:
        """Start the daemon ``name`` here: ``command`` with the path of its program first."""
        start(name, command, self.lab, enter=(*self.enter(), *environment))

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60, only: tuple[str, ...] = ()) -> str:
        """What ``command`` prints when run here; LabError with its words when it fails, or takes longer (seconds).

        only: the namespaces it runs in; without it all of them.
        """
        words = [*self.enter(*only), *command]
        try:
            done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name}: {' '.join(command)} did not end within {timeout:.0f} s") from error
        if done.returncode != 0:
            raise LabError(f"{self.name}: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
