"""What every lab has in common: one folder holds all of it, and one process at a time brings it up or down."""

import hashlib
import shutil
import subprocess
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack.lab.build import LabError, binary, cache_dir, ensure_built, locked, say
from hack.lab.certs import Pki
from hack.lab.components import Component
from hack.lab.processes import recorded, stop_all

CONTEXT = "lab-microapp"
_MARK = "microapp-lab"


@dataclass(frozen=True)
class Lab(ABC):
    """One lab: everything of it is below ``folder``."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig, with the one context ``lab-microapp``."""
        return self.folder / "kubeconfig"

    @property
    @abstractmethod
    def components(self) -> tuple[Component, ...]:
        """The binaries it needs."""

    @abstractmethod
    def check(self) -> None:
        """LabError when this machine can't run it."""

    @abstractmethod
    def start(self) -> None:
        """Start everything in the empty folder; pods can become Ready, and the kubeconfig is written last."""

    def stop(self) -> None:
        """End what was started, as far as it was."""
        stop_all(self.folder)

    @abstractmethod
    def describe(self) -> str:
        """What is particular about it, in a line."""

    def running(self) -> bool:
        """True when every daemon that belongs to it is alive."""
        daemons = recorded(self.folder)
        return self.kubeconfig.exists() and bool(daemons) and all(d.alive() for d in daemons)

    def up(self) -> None:
        """Build what is missing, start what isn't running; returns when pods can become Ready."""
        self.check()
        ensure_built(*self.components)
        with self._alone():
            if self.running():
                say(f"is up already; kubeconfig {self.kubeconfig}")
                return
            self._remove()
            self.folder.mkdir(parents=True)
            (self.folder / _MARK).touch()
            try:
                self._link_binaries()
                self.start()
            except BaseException:
                self.stop()
                raise
        say(f"is up; kubeconfig {self.kubeconfig}, context {CONTEXT}, kubectl {self.folder / 'bin' / 'kubectl'}")
        say(self.describe())

    def down(self) -> bool:
        """End every process of the lab and remove its folder; False when there was nothing to end."""
        with self._alone():
            return self._remove()

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None, stdin: str | None = None) -> str:
        """What kubectl printed; LabError with its words when it fails."""
        command = [str(self.folder / "bin" / "kubectl"), "--kubeconfig", str(kubeconfig or self.kubeconfig), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, input=stdin)
        if done.returncode != 0:
            raise LabError(f"kubectl {' '.join(arguments)} failed: {done.stderr.strip()}; see {self.folder / 'logs'}")
        return done.stdout

    def _link_binaries(self) -> None:
        folder = self.folder / "bin"
        folder.mkdir()
        for component in self.components:
            (folder / component.name).symlink_to(binary(component))

    def _alone(self) -> AbstractContextManager[None]:
        """One process at a time starts or stops a lab; the lock is outside the folder, which comes and goes."""
        key = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return locked(cache_dir() / "locks" / key, f"another up or down of {self.folder}")

    def _remove(self) -> bool:
        """Stop and delete what is there, if anything is; LabError when the folder is something else than a lab."""
        if not self.folder.exists():
            return False
        ours = any((self.folder / name).exists() for name in (_MARK, "daemons.json"))
        if not ours and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise LabError(f"{self.folder} exists and is not a lab: it is left alone. Name another folder in LAB_DIR.")
        for nested in self.folder.glob("*/daemons.json"):  # such as Vault's
            stop_all(nested.parent)
        self.stop()
        shutil.rmtree(self.folder)
        return True


def write_kubeconfig(path: Path, server: str, pki: Pki, user: str) -> Path:
    """Write the kubeconfig of ``user``, readable for its owner alone; returns ``path``."""
    cluster = {"server": server, "certificate-authority": str(pki.path("ca.crt"))}
    credentials = {"client-certificate": str(pki.path(f"{user}.crt")), "client-key": str(pki.path(f"{user}.key"))}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
    return path
