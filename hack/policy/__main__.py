"""``python -m hack.policy``: write what is generated from the rules: bundle, floor and reference.

The tiers that ship go beside the bundle, for commands that ask no cluster.
"""

import shutil
import sys

from hack.lab.build import LabError
from hack.policy.bundle import BUNDLE, build_bundle
from hack.policy.floor import write_floor
from hack.policy.reference import write_reference
from hack.policy.rules import POLICIES, PolicyError, read_rules

TIERS = POLICIES.parent / "charts" / "microapp-operator" / "files" / "risktiers.yaml"


def main() -> int:
    """Generate; exit status 1 with what is wrong when a rule breaks a convention or doesn't compile."""
    try:
        sources = read_rules()
        build_bundle(sources)
        write_floor(sources)
        write_reference(sources)
        shutil.copyfile(TIERS, BUNDLE.parent / TIERS.name)
    except (PolicyError, LabError) as error:
        print(f"policies: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
