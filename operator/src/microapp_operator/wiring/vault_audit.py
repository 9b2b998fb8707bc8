"""``vault-audit``: Vault's audit log in, one line of JSON per use of a secret out.

What permits a use comes from the status of the MicroApps, which is watched.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from typing import Final

import structlog
import uvloop
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from microapp_operator.adapters.http import HealthServer, ListenError
from microapp_operator.adapters.kubernetes.client import (
    KubernetesClient,
    kubeconfig_from_environment,
    load_configuration,
)
from microapp_operator.adapters.kubernetes.kinds import Kind
from microapp_operator.adapters.kubernetes.watch import Watch
from microapp_operator.adapters.vaultlog import Reader
from microapp_operator.adapters.vaultsocket import listening, serve
from microapp_operator.constants import API_VERSION
from microapp_operator.errors import OperatorError
from microapp_operator.model import Manifest
from microapp_operator.telemetry import configure_logging
from microapp_operator.vaultlog import Transformer
from microapp_operator.vaultlog.permits import Permits

log = structlog.get_logger(__name__)
_KIND = Kind(API_VERSION, "MicroApp", "microapps", selector="", full=True)
_PREFIX: Final = "microapp_operator_vault_audit"


def run(arguments: argparse.Namespace) -> int:
    """Transform until the input ends or a signal comes; returns the exit status."""
    configure_logging(arguments.log_level, json=arguments.log_format == "json")
    if wrong := _misused(arguments):
        log.error("cannot_run", why=wrong)
        return 2
    return uvloop.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    permits = Permits()
    transformer = Transformer(permits.justify)
    reader = Reader(transformer, _write)
    health = HealthServer({}, _registry(transformer), host=arguments.host, port=arguments.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, reader.stop.set)
    watching: asyncio.Task[None] | None = None
    try:
        await health.start()
        if not arguments.offline:
            watching = await _watch(permits)
        await asyncio.to_thread(_read, reader, arguments)
    except (OperatorError, ListenError, OSError) as error:
        log.error("cannot_run", why=str(error))
        return 1
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await health.stop()
    log.info(
        "ended",
        lines=transformer.lines,
        malformed=transformer.malformed,
        unmatched=transformer.unmatched,
        unanswered=transformer.unanswered,
    )
    return 0


def _misused(arguments: argparse.Namespace) -> str:
    """Flags that mean nothing together; empty when all is well."""
    if arguments.state is not None and arguments.log is None:
        return "--state keeps the place in the file of --log; a socket or a pipe has none to go on from: leave it out"
    if arguments.once and arguments.listen is not None:
        return "--once ends where a file ends, and what --listen takes has no end: leave one of them out"
    return ""


def _read(reader: Reader, arguments: argparse.Namespace) -> None:
    if arguments.listen is not None:
        with listening(arguments.listen) as server:
            serve(reader, server)
    elif arguments.log is None:
        reader.read(sys.stdin.buffer)
    else:
        reader.follow(arguments.log, arguments.state, forever=not arguments.once)


def _write(events: bytes) -> None:
    """To the last byte, before the place in the log is noted."""
    view = memoryview(events)
    while view:
        view = view[os.write(sys.stdout.fileno(), view) :]


async def _watch(permits: Permits) -> asyncio.Task[None]:
    """Keep ``permits`` current; returns once the first list is in."""
    client = KubernetesClient(await load_configuration(kubeconfig_from_environment(os.environ), None), in_flight=1)

    def changed(event: str, app: Manifest) -> None:
        permits.drop(app) if event == "DELETED" else permits.put(app)

    watch = Watch(client, _KIND, permits.reset, changed, lambda *_: None)
    task = asyncio.create_task(_until_cancelled(watch, client), name="watch-microapps")
    listed = asyncio.create_task(watch.listed.wait())
    await asyncio.wait({task, listed}, return_when=asyncio.FIRST_COMPLETED)
    return task


async def _until_cancelled(watch: Watch, client: KubernetesClient) -> None:
    try:
        await watch.run()
    finally:
        await client.close()


class Tallies(Collector):
    """What a transformer has counted, read off it whenever the metrics are."""

    def __init__(self, transformer: Transformer) -> None:
        self._transformer = transformer

    def describe(self) -> Iterator[CounterMetricFamily]:
        """What ``collect`` gives."""
        return self.collect()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter each."""
        for name, text in (
            ("lines", "Lines of the audit log read."),
            ("malformed", "Lines that are no entry of an audit log."),
            ("unmatched", "Secrets used that nothing known permits."),
            ("unanswered", "Requests whose response never came."),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value=getattr(self._transformer, name))


def _registry(transformer: Transformer) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Tallies(transformer))
    return registry
