"""The command line: every flag, its default and what it means."""

import argparse
import ipaddress
import re
from pathlib import Path

from microapp_operator.model.duration import parse_duration
from microapp_operator.settings import Network

_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,6}[smh])+", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{32}")
_MOST = 10_000
"""Records shown at once."""
_STATUSES = """exit status:
  0  nothing would be denied
  1  something would be denied, or not be run (with --strict: or warned about, or isn't judged in full)
  2  something can't be read, or the command is used wrongly
  3  the rules gave no answer
"""


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write a network such as 10.0.0.0/8") from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to 86400 seconds")
    return seconds


def _pinned(text: str) -> str:
    if _DIGEST.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text} has no digest, and runs in apps' pods; write name@sha256:<64 digits>")


def _interval(text: str) -> float:
    if text.isdigit() and int(text) >= 20:
        return float(text)
    raise argparse.ArgumentTypeError(f"{text} is too short to start a pod in; write seconds, 20 or more")


def _address(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no address with a port; write 203.0.113.1:443") from error


def _listen(text: str) -> Path | tuple[str, int]:
    if "/" in text:
        return Path(text)
    address, port = _address(text if ":" in text else f"127.0.0.1:{text}")
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{port} is no port; write 127.0.0.1:9200")
    return address, port


def _label(text: str) -> str:
    if _LABEL.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no name of an object; write lower case letters, digits and -")


def _count(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= _MOST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not from 1 to {_MOST}")


def _duration(text: str) -> int:
    seconds = parse_duration(text) if _DURATION.fullmatch(text) else 0
    if seconds:
        return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no time; write 10m, 90s or 1h30m")


def _trace(text: str) -> str:
    if _TRACE.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no trace id; write its 32 hexadecimal digits in lower case")


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``microapp-operator``; the subcommand is in ``command``."""
    parser = argparse.ArgumentParser(
        prog="microapp-operator", description="Confine, observe and account for micro apps on Kubernetes."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="reconcile MicroApps until stopped")
    _add_run(run)
    _add_probe(run)
    _add_webhook(commands.add_parser("webhook", help="answer admission reviews until stopped"))
    audit = commands.add_parser("vault-audit", help="turn Vault's audit log into one event per use of a secret")
    _add_vault_audit(audit)
    canary = commands.add_parser("log-canary", help="send the log gateway records, and read them back from the sinks")
    _add_log_canary(canary)
    for command in tuple(c for c in commands.choices.values() if c not in (audit, canary)):
        command.add_argument("--bundle", type=Path, help="policy bundle, watched, instead of the one that ships")
        command.add_argument("--settings", type=Path, help="YAML file with the settings of the rules, watched as well")
    _add_tiers(commands.add_parser("tiers", help="apply risk tiers, but for what others changed; for an installer"))
    _add_check(commands.add_parser("check", help="ask the API server whether admission is in force"))
    for command in tuple(commands.choices.values()):
        command.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
        command.add_argument("--log-format", default="json", choices=("json", "text"))
    policy = commands.add_parser("vault-policy", help="print the Vault policy that the operator itself needs")
    policy.add_argument("vault", type=Path, help="the file that run --vault gets")
    _add_validate(
        commands.add_parser(
            "validate",
            help="say what admission and the operator would say of the objects in files; no cluster is asked",
            epilog=_STATUSES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_logs(commands.add_parser("logs", help="print the recent records of an app, from all its pods"))
    return parser


def _add_logs(logs: argparse.ArgumentParser) -> None:
    logs.add_argument("name", type=_label, help="name of the MicroApp")
    logs.add_argument("-n", "--namespace", type=_label, required=True, help="its namespace, not that of its pods")
    logs.add_argument("--tail", type=_count, default=100, metavar="N", help="at most so many, the newest (100)")
    logs.add_argument("--since", type=_duration, metavar="10m", help="only those of the last 10 minutes")
    logs.add_argument("--trace", type=_trace, metavar="ID", help="only those of this trace")
    logs.add_argument("--previous", action="store_true", help="of the containers that ran before the present ones")
    logs.add_argument("-o", "--output", choices=("table", "json"), default="table", help="json: an object a line")


def _add_vault_audit(audit: argparse.ArgumentParser) -> None:
    source = audit.add_mutually_exclusive_group()
    source.add_argument("--log", type=Path, help="the log, followed as it grows; none: standard input, to its end")
    source.add_argument(
        "--listen",
        type=_listen,
        help="take the log from Vault's socket device: path of a socket, port of loopback, or address:port",
    )
    audit.add_argument("--state", type=Path, help="file in which to keep the place in the log between two runs")
    audit.add_argument("--once", action="store_true", help="end where the log ends now")
    audit.add_argument(
        "--offline", action="store_true", help="don't ask the cluster what permits each use: justification is null"
    )
    audit.add_argument("--host", default="127.0.0.1", help="address of /healthz and /metrics")
    audit.add_argument("--port", type=int, default=0, help="their port; 0 takes a free one")


def _add_log_canary(canary: argparse.ArgumentParser) -> None:
    canary.add_argument(
        "--config", type=Path, required=True, help="YAML file that says which backends are asked, and how"
    )
    canary.add_argument(
        "--gateway",
        type=_address,
        required=True,
        metavar="ADDRESS:PORT",
        help="the log gateway's receiver for the platform; the address is that of this pod, too",
    )
    canary.add_argument("--host", default="127.0.0.1", help="address of /healthz and /metrics")
    canary.add_argument("--port", type=int, default=0, help="their port; 0 takes a free one")


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--host", default="127.0.0.1", help="address of /healthz, /readyz and /metrics")
    run.add_argument("--port", type=int, default=8080, help="their port; 0 takes a free one")
    run.add_argument("--workers", type=int, default=16, help="MicroApps reconciled at once")
    run.add_argument("--writes-in-flight", type=int, default=32, help="write requests at once")
    run.add_argument(
        "--watch-inactivity", type=float, default=70.0, help="seconds of silence after which a watch is resumed"
    )
    run.add_argument("--vault", type=Path, help="YAML file that says where Vault is; none: apps get no secrets")
    run.add_argument("--logging", type=Path, help="YAML file that says where the log gateway is")
    run.add_argument(
        "--image-registries", type=Path, help="YAML file that says how registries are asked what images run"
    )
    run.add_argument("--watch-stale", type=float, default=150.0, help="seconds of silence after which /readyz fails")
    run.add_argument(
        "--reserved-network",
        type=_network,
        action="append",
        default=[],
        help="network no app may name as egress, besides those the cluster tells of; may be repeated",
    )
    run.add_argument("--scan-interval", type=_seconds, default=600.0, help="seconds between scans of all that runs")
    run.add_argument(
        "--wasm-image",
        type=_pinned,
        help="image of this operator, by digest: runs modules of profile wasm in a hardened container where the "
        "cluster has no RuntimeClass for them and the tier allows it; none: they don't run there",
    )
    run.add_argument(
        "--lease-namespace",
        default="",
        help="namespace of the Lease by which one of several processes leads; none: this one always does",
    )


def _add_probe(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--probe-image",
        type=_pinned,
        help="image of this operator, by digest: probes the isolation of every node, and holds apps back until their "
        "pods are confined; none: neither",
    )
    run.add_argument("--probe-namespace", default="microapp-probe", help="namespace of the probes and their targets")
    run.add_argument(
        "--probe-interval", type=_interval, default=60.0, help="seconds within which a leak shows, 20 or more"
    )
    run.add_argument(
        "--probe-outside",
        type=_address,
        action="append",
        default=[],
        metavar="ADDRESS:PORT",
        help="address beyond the cluster that no app may reach; may be repeated",
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


def _add_validate(validate: argparse.ArgumentParser) -> None:
    validate.add_argument("files", nargs="+", metavar="FILE", help="YAML or JSON, a folder of them, or - for stdin")
    validate.add_argument(
        "--with",
        dest="context",
        action="append",
        default=[],
        metavar="FILE",
        help="what the cluster holds besides: RiskTiers, Connectors, Tenants, Namespaces, MicroApps, Approvals",
    )
    validate.add_argument(
        "-n", "--namespace", default="", help="where objects go that name no namespace, as kubectl has it"
    )
    validate.add_argument("--output", choices=("text", "json", "sarif"), default="text")
    validate.add_argument("--strict", action="store_true", help="exit with 1 for warnings and what isn't judged, too")
    validate.add_argument("--bundle", type=Path, help="policy bundle instead of the one that ships")
    validate.add_argument("--settings", type=Path, help="YAML file with the settings of the rules")


def _add_tiers(tiers: argparse.ArgumentParser) -> None:
    tiers.add_argument("--file", type=Path, required=True, help="YAML file with RiskTiers")
    tiers.add_argument(
        "--within", type=float, default=240.0, help="seconds to wait for the API and the webhook to be there"
    )


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument("--namespace", default="microapp-system", help="namespace of operator and webhook")
