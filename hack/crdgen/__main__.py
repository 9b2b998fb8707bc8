"""``python -m hack.crdgen``: write crds/ anew; with ``--check`` only say whether that would change anything."""

import argparse
import sys
from pathlib import Path

import yaml

from hack.crdgen.kinds import KINDS, build_crd

CRDS = Path(__file__).parents[2] / "crds"
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
    files = render()
    stale = {p.name for p in CRDS.glob("*.yaml")} - set(files)
    if parser.parse_args().check:
        changed = [n for n, text in files.items() if not (CRDS / n).exists() or (CRDS / n).read_text() != text]
        for name in sorted([*changed, *stale]):
            print(f"crds/{name} is not what the model gives; run `make crd`", file=sys.stderr)
        return 1 if changed or stale else 0
    CRDS.mkdir(exist_ok=True)
    for name in stale:
        (CRDS / name).unlink()
    for name, text in files.items():
        (CRDS / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
