"""The commands: which module runs each.

That module is imported when its command is called: kopf and the Kubernetes client would cost ``validate`` 0.4 s of 1.4.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

from microapp_operator.cli.parser import build_parser


def _version() -> str:
    try:
        return installed_version("microapp-operator")
    except PackageNotFoundError:
        return "0.1.0+source"


def _run(arguments: argparse.Namespace) -> int:
    from microapp_operator.wiring import operator  # noqa: PLC0415

    return operator.run(arguments, _version())


def _webhook(arguments: argparse.Namespace) -> int:
    from microapp_operator.wiring import webhook  # noqa: PLC0415

    return webhook.run(arguments)


def _vault_audit(arguments: argparse.Namespace) -> int:
    from microapp_operator.wiring import vault_audit  # noqa: PLC0415

    return vault_audit.run(arguments)


def _log_canary(arguments: argparse.Namespace) -> int:
    from microapp_operator.wiring import log_canary  # noqa: PLC0415

    return log_canary.run(arguments)


def _vault_policy(arguments: argparse.Namespace) -> int:
    from microapp_operator.cli import vault_policy  # noqa: PLC0415

    return vault_policy.run(arguments)


def _validate(arguments: argparse.Namespace) -> int:
    from microapp_operator.cli import validate  # noqa: PLC0415

    return validate.run(arguments, _version())


def _logs(arguments: argparse.Namespace) -> int:
    from microapp_operator.cli import logs  # noqa: PLC0415

    return logs.run(arguments)


def _tiers(arguments: argparse.Namespace) -> int:
    from microapp_operator.wiring import once  # noqa: PLC0415

    return once.tiers(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from microapp_operator.wiring import once  # noqa: PLC0415

    return once.check(arguments)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "webhook": _webhook,
    "validate": _validate,
    "vault-audit": _vault_audit,
    "log-canary": _log_canary,
    "vault-policy": _vault_policy,
    "tiers": _tiers,
    "check": _check,
    "logs": _logs,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = build_parser().parse_args(argv)
    return _COMMANDS[arguments.command](arguments)


if __name__ == "__main__":
    sys.exit(main())
