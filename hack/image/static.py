"""``python -m hack.image.static NAME…``: build images of one static program each into dist/, and say digest and size.

The program and nothing else, so that Go is all it takes; but what calls others by TLS brings the roots it trusts. The
Dockerfile beside each program's source says the same, and a test compares.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import certifi

from hack.install import ROOT
from hack.lab.build import LabError, binary, ensure_built
from hack.lab.components import FORWARDER, GATEWAY, LAUNCHER, Component
from hack.lab.images import build_archive
from hack.lab.nodelab import NodeLab

COMPONENTS: Final = {component.name: component for component in (LAUNCHER, FORWARDER, GATEWAY)}
ROOTS: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where Go looks first for whom to trust (crypto/x509, root_linux.go)."""
_MIB = 2**20


def build_static(component: Component, archive: Path) -> str:
    """Write the image of ``component`` as of this checkout to ``archive``; its digest. LabError when building fails.

    Roots are those of the locked certifi, not this machine's: the image is the same whoever builds it.
    """
    ensure_built(component)
    program = f"/{component.name}"
    roots = {ROOTS: Path(certifi.where())} if component is GATEWAY else {}
    return build_archive(archive, {program: binary(component), **roots}, [program])


def push_static(lab: NodeLab, component: Component) -> str:
    """Build that image and push it to the lab's registry; returns its reference by digest."""
    archive = lab.folder / f"{component.name}.tar"
    build_static(component, archive)
    reference = lab.registry.push(archive, f"lab/{component.name}")
    archive.unlink()
    return reference


def main() -> int:
    """Build; exit status 1 with one clear message when that can't be done."""
    parser = argparse.ArgumentParser(prog="python -m hack.image.static", description=__doc__)
    parser.add_argument("names", nargs="+", choices=COMPONENTS, metavar="NAME")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        archive = arguments.output / f"{name}.tar"
        try:
            digest = build_static(COMPONENTS[name], archive)
        except LabError as error:
            print(f"image: {error}", file=sys.stderr)
            return 1
        print(f"image: {archive}, {archive.stat().st_size / _MIB:.1f} MiB")
        print(f"image: {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
