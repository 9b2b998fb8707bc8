"""``python -m hack.collector``: write collector/ from its manifest, with the Collector's own builder.

The builder's own ``go mod tidy`` fails on packages that only tests of dependencies need: it is run here, with ``-e``.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hack.install import ROOT
from hack.lab.build import LabError, binary, ensure_built
from hack.lab.components import BUILDER

FOLDER = ROOT / "collector"
_DIRECT = re.compile(r"^(?:require )?\t?(\S+) (v\S+)$", re.MULTILINE)


def main() -> int:
    """Generate; exit status 1 with what the builder or go says when that fails."""
    try:
        ensure_built(BUILDER)
        with tempfile.TemporaryDirectory() as scratch:
            _generate(Path(scratch))
    except LabError as error:
        print(f"collector: {error}", file=sys.stderr)
        return 1
    return 0


def _generate(scratch: Path) -> None:
    flags = ("--skip-compilation", "--skip-get-modules")
    _run(scratch, str(binary(BUILDER)), f"--config={FOLDER / 'manifest.yaml'}", *flags)
    fresh = scratch / "src"
    for stale in FOLDER.glob("*.go"):
        stale.unlink()
    for path in fresh.glob("*.go"):
        shutil.copyfile(path, FOLDER / path.name)
    wanted = fresh / "go.mod"
    if not _direct(wanted) <= _direct(FOLDER / "go.mod"):
        shutil.copyfile(wanted, FOLDER / "go.mod")
        _run(FOLDER, "go", "mod", "tidy", "-e")


def _direct(path: Path) -> set[tuple[str, str]]:
    """Modules and versions that are asked for, not those they bring along."""
    return set(_DIRECT.findall(path.read_text())) if path.exists() else set()


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
