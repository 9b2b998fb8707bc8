"""``vault-policy``: the operator's own least-privilege policy, for the mounts its settings name."""

import argparse
import sys

from microapp_operator.desired.vault import build_operator_policy
from microapp_operator.errors import InvalidSpec
from microapp_operator.settings import VaultSettings, read_settings


def run(arguments: argparse.Namespace) -> int:
    """Print it; returns the exit status."""
    try:
        settings = read_settings(VaultSettings, arguments.vault)
    except InvalidSpec as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(build_operator_policy(settings))
    return 0
