"""``python -m hack.image.launcher``: build the launcher's image into dist/, and say its digest and size.

One static program and nothing else, so that Go is all it takes; launcher/Dockerfile says the same, and a test compares.
"""

import argparse
import sys
from pathlib import Path

from hack.install import ROOT
from hack.lab.build import LabError, binary, ensure_built
from hack.lab.components import LAUNCHER
from hack.lab.images import build_archive

PROGRAM = "/launcher"
_MIB = 2**20


def build_launcher(archive: Path) -> str:
    """Write the image of this checkout's launcher to ``archive``; its digest. LabError when building it fails."""
    ensure_built(LAUNCHER)
    return build_archive(archive, {PROGRAM: binary(LAUNCHER)}, [PROGRAM])


def main() -> int:
    """Build; exit status 1 with one clear message when that can't be done."""
    parser = argparse.ArgumentParser(prog="python -m hack.image.launcher", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "launcher.tar")
    output = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        digest = build_launcher(output)
    except LabError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    print(f"image: {output}, {output.stat().st_size / _MIB:.1f} MiB")
    print(f"image: {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
