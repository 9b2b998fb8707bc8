"""Wiring: settings from flags and environment, adapters, feeds, and the order of starting and stopping."""

import argparse
import asyncio
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import kopf
import structlog
import uvloop

from microapp_operator.adapters.http import HealthServer, ListenError
from microapp_operator.adapters.kubernetes.client import (
    KubernetesClient,
    kubeconfig_from_environment,
    load_configuration,
)
from microapp_operator.adapters.kubernetes.cluster import KubernetesCluster
from microapp_operator.adapters.kubernetes.events import KubernetesEvents
from microapp_operator.adapters.kubernetes.informer import Informer
from microapp_operator.adapters.kubernetes.lease import Election
from microapp_operator.adapters.kubernetes.networks import discover_networks
from microapp_operator.adapters.policies import Policies, PolicyFiles
from microapp_operator.admission.process import Webhook, WebhookOptions
from microapp_operator.admission.rotation import CertificateKeeper, FileCertificates, Place
from microapp_operator.cli.check import check_installation
from microapp_operator.cli.parser import build_parser
from microapp_operator.cli.tiers import apply_tiers
from microapp_operator.errors import OperatorError
from microapp_operator.handlers import build_registry, build_settings
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.engine import Engine
from microapp_operator.reconcile.queue import WorkQueue
from microapp_operator.reconcile.reconciler import Reconciler
from microapp_operator.reconcile.report import Reporter
from microapp_operator.reconcile.services import Services
from microapp_operator.reconcile.store import Store
from microapp_operator.reconcile.witness import Witness
from microapp_operator.settings import Settings
from microapp_operator.telemetry import Metrics, configure_logging

log = structlog.get_logger(__name__)


class SystemClock:
    """``ports.Clock`` of the machine."""

    def now(self) -> datetime:
        """The current time, in UTC."""
        return datetime.now(UTC)


@dataclass(slots=True)
class Operator:
    """One process: everything that has to be started and stopped, in that order."""

    client: KubernetesClient
    informer: Informer
    events: KubernetesEvents
    engine: Engine
    witness: Witness
    metrics: Metrics
    health: HealthServer
    policies: Policies
    election: Election | None = None

    async def run(self) -> None:
        """Serve until a signal or the end of the feed: health first, then watches, then work; drain on the way out.

        The feed ends last: on its way out kopf cancels every task of the loop that it finds still running.
        """
        stop, feed_may_end = asyncio.Event(), asyncio.Event()
        await self.health.start()
        self.events.start()
        feed = asyncio.create_task(self._feed(feed_may_end, stop), name="kopf")
        feed.add_done_callback(lambda _: stop.set())
        start = asyncio.create_task(self._start(), name="start")
        start.add_done_callback(lambda task: stop.set() if not task.cancelled() and task.exception() else None)
        current = asyncio.create_task(self.policies.keep_current(), name="policies")
        await stop.wait()
        log.info("stopping")
        for task in (start, current):
            task.cancel()
        deposed = (await asyncio.gather(start, current, return_exceptions=True))[0]
        await self.engine.stop()
        if self.election is not None:
            await self.election.release()
        await self.informer.stop()
        await self.events.stop()
        await self.health.stop()
        feed_may_end.set()
        ended = (await asyncio.gather(feed, return_exceptions=True))[0]
        await self.client.close()
        for error in (ended, deposed):
            if isinstance(error, Exception):
                raise error

    async def _start(self) -> None:
        """Nothing is reconciled on half a picture: the workers wait for the first lists."""
        await self.informer.start()
        for kind in self.informer.ages():
            self.metrics.track_watch(kind, partial(self._age, kind))
        if self.election is None:
            self.engine.start()
            return
        self.engine.standing_by = True
        await self.election.lead()
        self.engine.start()
        await self.election.keep()
        raise OperatorError(Finding(Reason.RETRYING, "", "the Lease is lost: another process leads, or nobody does."))

    def _age(self, kind: str) -> float:
        return self.informer.ages()[kind]

    async def _feed(self, may_end: asyncio.Event, stop: asyncio.Event) -> None:
        """kopf, except that signals reach us: it would end the feed first and cancel the work under way."""
        tasks = await kopf.spawn_tasks(
            registry=build_registry(self.engine),
            settings=build_settings(),
            standalone=True,
            clusterwide=True,
            stop_flag=may_end,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await kopf.run_tasks(tasks, ignored=asyncio.all_tasks() - set(tasks))


async def build_operator(settings: Settings, files: PolicyFiles, *, host: str, port: int) -> Operator:
    """Everything wired, nothing started. OperatorError when there are no credentials, or the rules are no good."""
    metrics = Metrics(version=_version())
    configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
    client = KubernetesClient(configuration, in_flight=settings.writes_in_flight, on_request=metrics.requested)
    reserved = (*settings.reserved_networks, *await discover_networks(client))
    log.info("reserved_networks", networks=[str(n) for n in reserved])
    informer = Informer(client, on_restart=metrics.watch_restarted, inactivity=settings.watch_inactivity)
    cluster = KubernetesCluster(client, informer.record)
    events = KubernetesEvents(client, on_drop=metrics.event_dropped)
    policies = Policies(files, map(str, reserved))
    store = Store(reserved, policies.settings, policies.engine.digest)
    queue = WorkQueue(on_latency=metrics.queued)
    metrics.track_queue(lambda: len(queue))
    reporter = Reporter(cluster, events, store, metrics)
    services = Services(cluster, informer.cache, reporter, SystemClock(), informer.capabilities)
    engine = Engine(store, queue, Reconciler(store, queue, services), metrics, settings.workers)
    policies.on_change = partial(_policies_changed, policies, engine)
    witness = Witness(engine, cluster, on_lag=metrics.watch_restarted)
    informer.on_child = engine.on_child
    informer.on_policy = lambda kind, raw, deleted: engine.on_policy(kind, raw, deleted=deleted)
    informer.on_capabilities = engine.on_capabilities
    informer.on_app = witness.saw
    election = None
    if settings.lease_namespace:
        identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        election = Election(client, settings.lease_namespace, "microapp-operator", identity, SystemClock())
        client.may_write = election.remaining
    checks: dict[str, Callable[[], str | None]] = {
        "workers": engine.dead_workers,
        "watches": partial(_stale_watches, informer, settings.watch_stale),
        "feed": witness.complaint,
    }
    health = HealthServer(checks, metrics.registry, host=host, port=port)
    return Operator(client, informer, events, engine, witness, metrics, health, policies, election)


def _policies_changed(policies: Policies, engine: Engine) -> None:
    engine.on_policies(policies.settings, policies.engine.digest)


def _stale_watches(informer: Informer, limit: float) -> str | None:
    stale = [f"{kind} for {age:.0f} s" for kind, age in informer.ages().items() if age > limit]
    return f"not heard of: {', '.join(sorted(stale))}" if stale else None


def _version() -> str:
    try:
        return version("microapp-operator")
    except PackageNotFoundError:
        return "0.1.0+source"


async def _webhook(arguments: argparse.Namespace) -> int:
    options = WebhookOptions(
        host=arguments.host,
        port=arguments.port,
        health_port=arguments.health_port,
        policies=PolicyFiles(arguments.bundle, arguments.settings),
    )
    if (arguments.certificate is None) != (arguments.key is None):
        log.error("cannot_start", why="--certificate and --key are given together, or not at all.")
        return 2
    try:
        configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
        client = KubernetesClient(configuration, in_flight=4)
        names = tuple(arguments.name) or (f"microapp-webhook.{arguments.namespace}.svc",)
        place = Place(arguments.namespace, arguments.secret, arguments.configuration, names)
        certificates = (
            FileCertificates(arguments.certificate, arguments.key)
            if arguments.certificate
            else CertificateKeeper(client, place, SystemClock())
        )
        await Webhook(client, certificates, options, SystemClock()).run()
    except (OperatorError, ListenError) as error:
        log.error("cannot_start", why=str(error))
        return 1
    return 0


async def _run(arguments: argparse.Namespace) -> int:
    settings = Settings(
        reserved_networks=tuple(arguments.reserved_network),
        workers=arguments.workers,
        writes_in_flight=arguments.writes_in_flight,
        watch_inactivity=arguments.watch_inactivity,
        watch_stale=arguments.watch_stale,
        lease_namespace=arguments.lease_namespace,
    )
    try:
        files = PolicyFiles(arguments.bundle, arguments.settings)
        operator = await build_operator(settings, files, host=arguments.host, port=arguments.port)
        await operator.run()
    except (OperatorError, ListenError) as error:
        log.error("cannot_start", why=str(error))
        return 1
    return 0


async def _once(act: Callable[[KubernetesClient], Coroutine[None, None, bool]]) -> int:
    """Exit status of ``act``, which does its work and ends."""
    try:
        configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
        client = KubernetesClient(configuration, in_flight=4)
        try:
            return 0 if await act(client) else 1
        finally:
            await client.close()
    except OperatorError as error:
        log.error("failed", why=str(error))
        return 1


async def _tiers(arguments: argparse.Namespace) -> int:
    return await _once(partial(apply_tiers, path=arguments.file, within=arguments.within))


async def _check(arguments: argparse.Namespace) -> int:
    return await _once(partial(check_installation, namespace=arguments.namespace))


_COMMANDS: dict[str, Callable[[argparse.Namespace], Coroutine[None, None, int]]] = {
    "run": _run,
    "webhook": _webhook,
    "tiers": _tiers,
    "check": _check,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = build_parser().parse_args(argv)
    configure_logging(arguments.log_level, json=arguments.log_format == "json")
    return uvloop.run(_COMMANDS[arguments.command](arguments))


if __name__ == "__main__":
    sys.exit(main())
