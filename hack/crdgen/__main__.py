"""``python -m hack.crdgen``: write the CRDs anew; with ``--check`` only say whether that would change anything.

They go to crds/, for kubectl, and into the chart, because Helm reads nothing outside of it.
"""

import argparse
import sys
from pathlib import Path

import yaml

from hack.crdgen.kinds import KINDS, build_crd

_ROOT = Path(__file__).parents[2]
CRDS = _ROOT / "crds"
FOLDERS = (CRDS, _ROOT / "charts" / "microapp-operator" / "files" / "crds")
_HEADER = "# Generated from operator/src/microapp_operator/model by `make crd`. Do not edit.\n"


def render() -> dict[str, str]:
    """File name to content, for every kind."""
    return {
        f"{kind.plural}.yaml": _HEADER + yaml.safe_dump(build_crd(kind), sort_keys=False, width=110, allow_unicode=True)
        for kind in KINDS
    }


def main() -> int:
    """Write or check; 1 when a check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m hack.crdgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something would change")
    check = parser.parse_args().check
    wanted = {folder / name: text for folder in FOLDERS for name, text in render().items()}
    stale = {path for folder in FOLDERS for path in folder.glob("*.yaml")} - set(wanted)
    if check:
        changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        for path in sorted([*changed, *stale]):
            print(f"{path} is not what the model gives; run `make crd`", file=sys.stderr)
        return 1 if changed or stale else 0
    for path in stale:
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
