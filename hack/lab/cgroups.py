"""The control groups a lab's pods live in: one group per lab in every hierarchy, made before and gone after it."""

import errno
import hashlib
import time
from pathlib import Path

from hack.lab.build import LabError

_CONTROLLERS = ("cpuset", "cpu", "memory", "hugetlb", "pids")
"""Those a kubelet insists on (cgroup v2) wherever the machine has them."""
_ROOT = Path("/sys/fs/cgroup")
_CONTROL = "cgroup.subtree_control"
_DELEGATED = "delegated-controllers"
_GRACE = 15.0


def group_of(lab: Path) -> str:
    """The name of the group of the lab in the folder ``lab``."""
    return f"microapp-lab-{hashlib.sha256(str(lab).encode()).hexdigest()[:12]}"


def make_group(lab: Path, node: str) -> str:
    """Make the group of a node's pods in every hierarchy; returns its path below each, as a kubelet wants it."""
    for hierarchy in hierarchies():
        own = hierarchy / group_of(lab)
        _delegate(hierarchy, lab / _DELEGATED)
        for group in (own, own / node):
            try:
                group.mkdir(exist_ok=True)
                _inherit(group)
            except OSError as error:
                raise LabError(f"{group}: the control group of a node's pods can't be made: {error}") from error
        _delegate(own)
    return f"/{group_of(lab)}/{node}"


def remove_groups(lab: Path) -> None:
    """Remove all groups of the lab; nothing may run there any more, but the kernel may still be tidying up."""
    deadline = time.monotonic() + _GRACE
    for hierarchy in hierarchies():
        own = hierarchy / group_of(lab)
        if own.is_dir():
            for each in sorted((path for path in own.rglob("*") if path.is_dir()), reverse=True):
                _remove(each, deadline)
            _remove(own, deadline)
    delegated = lab / _DELEGATED
    for controller in delegated.read_text().split() if delegated.exists() else ():
        try:
            (_ROOT / _CONTROL).write_text(f"-{controller}")
        except OSError as error:
            if error.errno != errno.EBUSY:  # else another group has come to need it
                raise LabError(f"{_ROOT / _CONTROL}: {controller} can't be taken back: {error}") from error


def hierarchies() -> list[Path]:
    """Where this machine has its control groups mounted: one place per hierarchy."""
    rows = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted({Path(row[1]) for row in rows if row[2] in ("cgroup", "cgroup2")})


def _delegate(group: Path, note: Path | None = None) -> None:
    """Let ``group`` hand its controllers down, which cgroup v2 does only when told; what was told is added to ``note``.

    Beside the hierarchies of cgroup v1, that of v2 is nothing a kubelet looks at.
    """
    control = group / _CONTROL
    if not (_ROOT / _CONTROL).exists() or not control.exists():
        return
    missing = set((group / "cgroup.controllers").read_text().split()) - set(control.read_text().split())
    for controller in sorted(missing.intersection(_CONTROLLERS)):
        try:
            control.write_text(f"+{controller}")
        except OSError as error:
            raise LabError(f"{control}: the kubelet needs the controller {controller} here: {error}") from error
        if note:
            with note.open("a") as file:
                file.write(f"{controller}\n")


def _inherit(group: Path) -> None:
    """Copy what a new group of cgroup v1 starts without, and can hold no process without."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        if file.exists() and not (group / "cgroup.controllers").exists() and not file.read_text().strip():
            file.write_text((group.parent / name).read_text())


def _remove(group: Path, deadline: float) -> None:
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise LabError(f"{group} can't be removed: {error}") from error
            time.sleep(0.05)
        else:
            return
