"""``python -m hack.image``: build the image into dist/, and say its digest and size."""

import argparse
import shutil
import sys
from pathlib import Path

from hack.image.build import build_image
from hack.install import ROOT
from hack.lab.build import LabError

_MIB = 2**20


def main() -> int:
    """Build; exit status 1 with one clear message when that can't be done."""
    parser = argparse.ArgumentParser(prog="python -m hack.image", description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "microapp-operator.tar")
    output = parser.parse_args().output
    try:
        image = build_image()
    except LabError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    output.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image.archive, output)
    print(f"image: {output} is microapp-operator:{image.version}")
    print(f"image: {image.compressed / _MIB:.0f} MiB to pull, {image.unpacked / _MIB:.0f} MiB unpacked")
    print(f"image: {image.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
