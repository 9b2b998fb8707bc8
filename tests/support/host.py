"""What the machine looks like from outside of any lab: all a lab must leave as it was."""

import fcntl
import os
import re
import subprocess
from pathlib import Path

from hack.lab.cgroups import hierarchies

_NS_GET_PARENT = 0xB702
_UNSEEN = (FileNotFoundError, ProcessLookupError, PermissionError)
"""A process that has ended meanwhile, or has more rights than this one: none of a lab's has."""
_KERNEL = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
_PLACES = ("/run", "/var/lib", "/var/lib/kubelet", "/var/log", "/etc/cni", "/etc/containerd", "/opt", "/usr/libexec")


def observe_host() -> dict[str, object]:
    """Rules, links, addresses, routes, mounts, kernel settings, and the places where a node's programs keep files."""
    return {
        "rules": _said("nft", "--stateless", "list", "ruleset"),
        "links": _said("ip", "-brief", "link"),
        "addresses": _said("ip", "-brief", "address"),
        "routes": re.sub(r"expires \d+sec", "", _said("ip", "route", "show", "table", "all")),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "hostname": Path("/proc/sys/kernel/hostname").read_text(),
        "kernel": {name: Path("/proc/sys", name).read_text() for name in _KERNEL},
        "delegated": [file.read_text() for h in hierarchies() for file in h.glob("cgroup.subtree_control")],
        "places": {place: sorted(path.name for path in Path(place).glob("*")) for place in _PLACES},
    }


def observe_groups() -> set[Path]:
    """The outermost control groups of every hierarchy."""
    return {path for hierarchy in hierarchies() for path in hierarchy.iterdir() if path.is_dir()}


def observe_inmates(machine: int) -> dict[int, set[str]]:
    """Every process in the PID namespace of the process ``machine``, or in one below it: pid and its namespaces."""
    outer = os.stat(f"/proc/{machine}/ns/pid").st_ino
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if outer in _nesting(folder / "ns" / "pid"):
                found[int(folder.name)] = {str(link.readlink()) for link in (folder / "ns").iterdir()}
        except _UNSEEN:
            continue
    return found


def observe_namespaces() -> set[str]:
    """Every namespace some process is in, as "net:[4026531840]"."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        try:
            found.add(str(link.readlink()))
        except _UNSEEN:
            continue
    return found


def observe_processes() -> dict[int, str]:
    """Every process: pid and command line."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(path.parent.name)] = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except _UNSEEN:
            continue
    return found


def _nesting(namespace: Path) -> list[int]:
    """The inodes of a PID namespace and of those around it, up to the one this process is in."""
    found = []
    descriptor = os.open(namespace, os.O_RDONLY)
    while True:
        found.append(os.fstat(descriptor).st_ino)
        try:
            parent = fcntl.ioctl(descriptor, _NS_GET_PARENT)
        except PermissionError:  # ioctl_ns(2): beyond what this process may see
            return found
        finally:
            os.close(descriptor)
        descriptor = parent


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
