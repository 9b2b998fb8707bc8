"""Whether this machine can run real nodes, said before anything is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.lab.build import LabError, cache_dir
from hack.lab.machine import ALL, PRIVATE

_PACKAGES = {
    "ip": "iproute2",
    "ipset": "ipset",
    "iptables": "iptables",
    "nft": "nftables",
    "nsenter": "util-linux",
    "runc": "runc",
    "unshare": "util-linux",
}
"""Programs of a node that no Go module has, and the Debian packages that have them."""


def check_host(folder: Path) -> None:
    """LabError with all that is missing for real nodes of a lab in ``folder``."""
    if not sys.platform.startswith("linux"):
        raise LabError("NODE=1 asks for real nodes, which need Linux; run it without NODE.")
    problems = []
    if os.geteuid() != 0:
        problems.append("run it as root: nodes need namespaces, mounts and control groups")
    missing = sorted({package for program, package in _PACKAGES.items() if shutil.which(program, path=_path()) is None})
    if missing:
        problems.append(f"install what is missing: apt-get install --no-install-recommends {' '.join(missing)}")
    needed = (folder, cache_dir(), Path(sys.executable), Path(sys.base_prefix))
    problems += [
        f"{path} is below {hidden}, which nodes have for themselves: move it elsewhere"
        for path in needed
        for hidden in ("/run", *PRIVATE)
        if path.resolve().is_relative_to(hidden)
    ]
    problems += _refusals(folder) if not problems else []
    if problems:
        raise LabError("NODE=1 asks for real nodes, which this machine can't run yet:\n- " + "\n- ".join(problems))


def _refusals(folder: Path) -> list[str]:
    """What only trying shows: root in a container may lack these."""
    refusals = []
    trial = subprocess.run(["unshare", *(f"--{n}" for n in ALL), "--fork", "true"], capture_output=True, check=False)
    if trial.returncode != 0:
        refusals.append(f"this root may not make namespaces: {trial.stderr.decode(errors='replace').strip()}")
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    kind = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "--target", standing], capture_output=True, text=True, check=False
    ).stdout.strip()
    if kind == "overlay":
        refusals.append(
            f"{standing} is on an overlay, on which images can't be unpacked: name another folder in LAB_DIR"
        )
    return refusals


def _path() -> str:
    """Where to look: a user's PATH often lacks the folders of the administrator's programs."""
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
