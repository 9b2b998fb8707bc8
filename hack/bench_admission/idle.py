"""A webhook that does nothing, as the yardstick: our own HTTPS server, whose judge reads the review and allows.

What the API server, TLS, HTTP and JSON cost is in its figures as in ours; what the rules cost is the difference.
"""

import argparse
import asyncio
import signal
from pathlib import Path

import orjson
import uvloop
from prometheus_client import CollectorRegistry

from microapp_operator.adapters.http import HealthServer
from microapp_operator.admission.judge import Answer, Judge
from microapp_operator.admission.rotation import FileCertificates
from microapp_operator.admission.server import WebhookServer
from microapp_operator.policy.review import REVIEW_VERSION
from microapp_operator.telemetry import configure_logging

MODULE = "hack.bench_admission.idle"


class IdleJudge(Judge):
    """Allows everything."""

    def __init__(self) -> None:
        """Needs no rules."""

    def close(self) -> None:
        """Has nothing to end."""

    async def answer(self, body: bytes) -> Answer:
        """Allowed, whatever it is."""
        response = {"uid": orjson.loads(body)["request"]["uid"], "allowed": True}
        document = {"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "response": response}
        return Answer(200, orjson.dumps(document))


async def _serve(host: str, port: int, certificate: Path, key: Path) -> None:
    certificates = FileCertificates(certificate, key)
    await certificates.refresh()
    server = WebhookServer(IdleJudge(), certificates, host=host, port=port)
    await server.start()
    async with HealthServer({}, CollectorRegistry(), host=host, port=0):
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
    await server.stop()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("command", choices=("webhook",))
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    arguments = parser.parse_args()
    configure_logging()
    uvloop.run(_serve(arguments.host, arguments.port, arguments.certificate, arguments.key))


if __name__ == "__main__":
    main()
