"""Layers as tar files that are the same, byte for byte, for the same content: sorted, one owner, one time."""

import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from hack.image.recipe import LEFT_OUT

EPOCH = 315532800
"""Modification time of every file: 1980-01-01. Bytecode is checked by no time (PEP 552), so one will do."""


def filter_base(source: Path, target: Path) -> None:
    """Copy the tar file ``source`` without what ``LEFT_OUT`` names; folders themselves stay."""
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda m: m.name):
            name = member.name.removeprefix("./")
            if any(name.startswith(f"{prefix}/") for prefix in LEFT_OUT) or _lone(name):
                continue
            member.mtime, member.pax_headers = EPOCH, {}
            member.name = name or "."
            new.addfile(member, old.extractfile(member) if member.isreg() else None)


def _lone(name: str) -> bool:
    """Files, rather than folders, that ``LEFT_OUT`` names."""
    return name in LEFT_OUT and name.rpartition("/")[2] in ("hostname", "machine-id", "resolv.conf", "apt")


def pack(folder: Path, target: Path, prefix: str) -> None:
    """The tar file of everything in ``folder``, to appear below ``prefix``, owned by root."""
    paths = sorted(path for path in folder.rglob("*"))
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for parent in reversed(Path(prefix.strip("/")).parents[:-1]):
            tar.addfile(_folder(str(parent)))
        tar.addfile(_folder(prefix.strip("/")))
        for path in paths:
            tar.add(path, arcname=f"{prefix.strip('/')}/{path.relative_to(folder)}", recursive=False, filter=_plain)


def _folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, EPOCH
    return info


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = EPOCH
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info


def unpack(layers: Iterable[Path], target: Path, keep: Callable[[tarfile.TarInfo], bool] = lambda _: True) -> None:
    """Extract the tar files one over the other into ``target``."""
    for layer in layers:
        with tarfile.open(layer) as tar:
            members = [m for m in tar.getmembers() if keep(m) and not m.isdev()]
            tar.extractall(target, members=members, filter="tar")
