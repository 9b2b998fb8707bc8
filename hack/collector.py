"""``python -m hack.collector``: write collector/*/ from their manifests, with the Collector's own builder.

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

FOLDERS = (ROOT / "collector" / "sidecar", ROOT / "collector" / "gateway")
_CORE = "go.opentelemetry.io/collector/otelcol"
_DIRECT = re.compile(r"^(?:require )?\t?(\S+) (v\S+)$", re.MULTILINE)


def main() -> int:
    """Generate; exit status 1 with what the builder or go says when that fails."""
    try:
        ensure_built(BUILDER)
        for folder in FOLDERS:
            with tempfile.TemporaryDirectory() as scratch:
                _generate(folder, Path(scratch))
    except LabError as error:
        print(f"collector: {error}", file=sys.stderr)
        return 1
    return 0


def _generate(folder: Path, scratch: Path) -> None:
    flags = ("--skip-compilation", "--skip-get-modules")
    _run(scratch, str(binary(BUILDER)), f"--config={folder / 'manifest.yaml'}", *flags)
    fresh = scratch / "src"
    for stale in folder.glob("*.go"):
        stale.unlink()
    for path in fresh.glob("*.go"):
        shutil.copyfile(path, folder / path.name)
    wanted = fresh / "go.mod"
    _level(wanted)
    if not _direct(wanted) <= _direct(folder / "go.mod"):
        shutil.copyfile(wanted, folder / "go.mod")
        _run(folder, "go", "mod", "tidy", "-e")


def _level(path: Path) -> None:
    """Have the Collector's core at the version of its components: the builder asks for the one of its own."""
    version = dict(_direct(path))["go.opentelemetry.io/collector/receiver/otlpreceiver"]
    path.write_text(re.sub(rf"({re.escape(_CORE)}) \S+", rf"\1 {version}", path.read_text()))


def _direct(path: Path) -> set[tuple[str, str]]:
    """Modules and versions that are asked for, not those they bring along."""
    return set(_DIRECT.findall(path.read_text())) if path.exists() else set()


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
