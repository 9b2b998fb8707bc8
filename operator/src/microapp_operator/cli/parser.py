"""The command line: every flag, its default and what it means."""

import argparse
import ipaddress
from pathlib import Path

from microapp_operator.settings import Network


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write a network such as 10.0.0.0/8") from error


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``microapp-operator``; the subcommand is in ``command``."""
    parser = argparse.ArgumentParser(
        prog="microapp-operator", description="Confine, observe and account for micro apps on Kubernetes."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(commands.add_parser("run", help="reconcile MicroApps until stopped"))
    _add_webhook(commands.add_parser("webhook", help="answer admission reviews until stopped"))
    for command in tuple(commands.choices.values()):
        command.add_argument("--bundle", type=Path, help="policy bundle, watched, instead of the one that ships")
        command.add_argument("--settings", type=Path, help="YAML file with the settings of the rules, watched as well")
    _add_tiers(commands.add_parser("tiers", help="apply risk tiers, but for what others changed; for an installer"))
    _add_check(commands.add_parser("check", help="ask the API server whether admission is in force"))
    for command in commands.choices.values():
        command.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
        command.add_argument("--log-format", default="json", choices=("json", "text"))
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--host", default="127.0.0.1", help="address of /healthz, /readyz and /metrics")
    run.add_argument("--port", type=int, default=8080, help="their port; 0 takes a free one")
    run.add_argument("--workers", type=int, default=16, help="MicroApps reconciled at once")
    run.add_argument("--writes-in-flight", type=int, default=32, help="write requests at once")
    run.add_argument(
        "--watch-inactivity", type=float, default=70.0, help="seconds of silence after which a watch is resumed"
    )
    run.add_argument("--watch-stale", type=float, default=150.0, help="seconds of silence after which /readyz fails")
    run.add_argument(
        "--reserved-network",
        type=_network,
        action="append",
        default=[],
        help="network no app may name as egress, besides those the cluster tells of; may be repeated",
    )
    run.add_argument(
        "--lease-namespace",
        default="",
        help="namespace of the Lease by which one of several processes leads; none: this one always does",
    )


def _add_webhook(webhook: argparse.ArgumentParser) -> None:
    webhook.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a pod of its own
    webhook.add_argument("--port", type=int, default=9443, help="HTTPS port of the reviews; 0 takes a free one")
    webhook.add_argument("--health-port", type=int, default=8080, help="port of /healthz, /readyz and /metrics")
    webhook.add_argument("--namespace", default="microapp-system", help="namespace of the certificates' Secret")
    webhook.add_argument("--secret", default="microapp-webhook-certificates", help="name of that Secret")
    webhook.add_argument("--configuration", default="microapps", help="name of the ValidatingWebhookConfiguration")
    webhook.add_argument(
        "--name",
        action="append",
        default=[],
        help="host name or address by which API servers call; may be repeated (default: the Service's)",
    )
    webhook.add_argument("--certificate", type=Path, help="PEM file that something else renews, such as cert-manager")
    webhook.add_argument("--key", type=Path, help="its private key; given together with --certificate")


def _add_tiers(tiers: argparse.ArgumentParser) -> None:
    tiers.add_argument("--file", type=Path, required=True, help="YAML file with RiskTiers")
    tiers.add_argument(
        "--within", type=float, default=240.0, help="seconds to wait for the API and the webhook to be there"
    )


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument("--namespace", default="microapp-system", help="namespace of operator and webhook")
