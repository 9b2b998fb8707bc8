"""``log-canary``: sends the log gateway a record now and then, and says by metrics whether sinks' backends have it."""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Final

import structlog
import uvloop
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from microapp_operator.adapters.canary import HttpWire
from microapp_operator.adapters.http import HealthServer, ListenError
from microapp_operator.canary import CanarySettings, Ledger, Why
from microapp_operator.canary.flight import Flights
from microapp_operator.errors import OperatorError
from microapp_operator.settings import read_settings
from microapp_operator.telemetry import configure_logging

log = structlog.get_logger(__name__)
_PREFIX: Final = "microapp_log_canary"


def run(arguments: argparse.Namespace) -> int:
    """Send and ask until stopped; returns the exit status."""
    configure_logging(arguments.log_level, json=arguments.log_format == "json")
    return uvloop.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        settings = read_settings(CanarySettings, arguments.config)
        ledger = Ledger(each.sink for each in settings.read_backs)
        server = HealthServer({}, build_registry(settings, ledger), host=arguments.host, port=arguments.port)
        async with server, HttpWire(settings, arguments.gateway, os.environ) as wire:
            await _until(stopped, Flights(settings, wire, ledger, time.time))
    except (OperatorError, ListenError, OSError) as error:
        log.error("cannot_run", why=str(error))
        return 1
    return 0


async def _until(stopped: asyncio.Event, flights: Flights) -> None:
    """What ends by itself has failed."""
    flying = asyncio.create_task(flights.run())
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait((flying, waiting), return_when=asyncio.FIRST_COMPLETED)
    for task in (flying, waiting):
        task.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    try:
        await flying
    except asyncio.CancelledError:
        log.info("stopped")


def build_registry(settings: CanarySettings, ledger: Ledger) -> CollectorRegistry:
    """What ``/metrics`` shows."""
    registry = CollectorRegistry()
    registry.register(Pages(settings, ledger))
    return registry


class Pages(Collector):
    """What the ledger says, read off it whenever the metrics are."""

    def __init__(self, settings: CanarySettings, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What ``collect`` gives."""
        return self.collect()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Times are seconds since 1970; a sink has none of what hasn't been."""
        yield CounterMetricFamily(f"{_PREFIX}_sent", "Canaries the log gateway has taken.", self._ledger.sent)
        deadline = _gauge("deadline_seconds", "After which a canary is given up.")
        read_back = _gauge("read_back_time_seconds", "When the newest canary that was read back had been sent.")
        delay = _gauge("delay_seconds", "How long that one took.")
        missing = _gauge("missing_since_time_seconds", "When the first canary was sent since which none is read back.")
        answer = _gauge("answer", "1 for what the backend said last.", "answer")
        failures = CounterMetricFamily(f"{_PREFIX}_failures", "Canaries given up.", labels=("sink", "why"))
        for sink, page in self._ledger.pages.items():
            deadline.add_metric((sink,), self._settings.deadline)
            answer.add_metric((sink, page.answer.text), 1)
            if page.read_back_at is not None:
                read_back.add_metric((sink,), page.read_back_at)
                delay.add_metric((sink,), page.delay)
            if page.missing_since is not None:
                missing.add_metric((sink,), page.missing_since)
            for why in Why:
                failures.add_metric((sink, why), page.failures[why])
        yield from (deadline, read_back, delay, missing, answer, failures)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=("sink", *labels))
