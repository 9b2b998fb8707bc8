"""The operator: settings from flags and environment, adapters, feeds, and the order of starting and stopping."""

import argparse
import asyncio
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

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
from microapp_operator.adapters.kubernetes.probe_pods import KubernetesProbeGround
from microapp_operator.adapters.policies import Policies, PolicyFiles
from microapp_operator.errors import OperatorError
from microapp_operator.handlers import build_registry, build_settings
from microapp_operator.metrics import Metrics
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.engine import Engine
from microapp_operator.reconcile.entrypoints import EntrypointLane
from microapp_operator.reconcile.prober import Prober
from microapp_operator.reconcile.queue import WorkQueue
from microapp_operator.reconcile.reconciler import Reconciler
from microapp_operator.reconcile.report import Reporter
from microapp_operator.reconcile.secrets import NoStore
from microapp_operator.reconcile.services import Services
from microapp_operator.reconcile.store import Store
from microapp_operator.reconcile.witness import Witness
from microapp_operator.scan.wiring import Scan, Surroundings, build_scan, listen
from microapp_operator.settings import (
    Images,
    LoggingSettings,
    ProbeSettings,
    RegistrySettings,
    Settings,
    VaultSettings,
    read_settings,
)
from microapp_operator.telemetry import configure_logging
from microapp_operator.wiring.clock import SystemClock
from microapp_operator.wiring.entrypoints import connect_registries
from microapp_operator.wiring.forwarding import Forwarding, connect_gateway
from microapp_operator.wiring.vault import Vault, connect_vault

log = structlog.get_logger(__name__)
_LAST_WORDS = 5.0
"""Seconds that the probing gets to delete its pods."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


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
    scan: Scan
    entrypoints: EntrypointLane
    election: Election | None = None
    prober: Prober | None = None
    vault: Vault | None = None
    forwarding: Forwarding | None = None

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
        await self.scan.stop()
        await self.engine.stop()
        await self.entrypoints.stop()
        if self.vault is not None:
            await self.vault.stop()
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
            await self._lead(asyncio.Event().wait())
            return
        self.engine.standing_by = True
        await self.election.lead()
        await self._lead(self.election.keep())
        raise OperatorError(Finding(Reason.RETRYING, "", "the Lease is lost: another process leads, or nobody does."))

    async def _lead(self, until: Awaitable[object]) -> None:
        """Reconcile, scan and probe ``until`` it is over."""
        if self.prober is not None:
            await self.prober.recall()
        self.engine.start()
        self.scan.start()
        self.entrypoints.start()
        if self.vault is not None:
            self.vault.lane.start()
        rounds = [] if self.prober is None else [self.prober.run()]
        if self.forwarding is not None:
            rounds += [self.forwarding.watcher.run(), self.forwarding.events.run()]
        running = {asyncio.create_task(each) for each in rounds}
        try:
            await until
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=_LAST_WORDS)

    def _age(self, kind: str) -> float:
        return self.informer.ages()[kind]

    async def _feed(self, may_end: asyncio.Event, stop: asyncio.Event) -> None:
        """kopf, except that signals reach us: it would end the feed first and cancel the work under way."""
        tasks = await kopf.spawn_tasks(
            registry=build_registry(self.engine, self.client.host),
            settings=build_settings(),
            # By itself kopf asks for the user's name, and a pod's user has none. Its type is a str that isn't exported.
            identity=socket.gethostname(),  # type: ignore[arg-type]
            standalone=True,
            clusterwide=True,
            stop_flag=may_end,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await kopf.run_tasks(tasks, ignored=asyncio.all_tasks() - set(tasks))


async def build_operator(settings: Settings, files: PolicyFiles, health: Address, version: str) -> Operator:
    """Everything wired, nothing started. OperatorError when there are no credentials, or the rules are no good."""
    metrics = Metrics(version=version)
    configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
    client = KubernetesClient(configuration, in_flight=settings.writes_in_flight, on_request=metrics.requested)
    reserved = (*settings.reserved_networks, *await discover_networks(client))
    log.info("reserved_networks", networks=[str(n) for n in reserved])
    informer = Informer(client, on_restart=metrics.watch_restarted, inactivity=settings.watch_inactivity)
    cluster = KubernetesCluster(client, informer.record)
    events = KubernetesEvents(client, on_drop=metrics.event_dropped)
    policies = Policies(files, map(str, reserved))
    images = Images(gate=settings.probe.image if settings.probe else "", wasm_runner=settings.wasm_image)
    store = Store(reserved, policies.settings, policies.engine.digest, images)
    store.vault = settings.vault
    queue = WorkQueue(on_latency=metrics.queued)
    metrics.track_queue(lambda: len(queue))
    reporter = Reporter(cluster, events, store, metrics)
    vault = connect_vault(settings.vault, queue, events, metrics) if settings.vault else None
    secrets = vault.desk if vault else NoStore(events)
    entrypoints = connect_registries(settings.registries, store, queue)
    services = Services(cluster, informer.cache, reporter, SystemClock(), informer.capabilities, secrets, entrypoints)
    engine = Engine(store, queue, Reconciler(store, queue, services), metrics, settings.workers)
    around = Surroundings(client, informer, policies, store, queue, SystemClock(), metrics.registry)
    scan = build_scan(around, interval=settings.scan_interval)
    witness = Witness(engine, cluster, on_lag=metrics.watch_restarted)
    listen(informer, policies, engine, scan)
    informer.on_capabilities = engine.on_capabilities
    informer.on_app = witness.saw
    election = None
    if settings.lease_namespace:
        identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        election = Election(client, settings.lease_namespace, "microapp-operator", identity, SystemClock())
        client.may_write = election.remaining
    prober = None
    if settings.probe is not None:
        ground = KubernetesProbeGround(client, settings.probe.namespace)
        prober = Prober(ground, settings.probe, SystemClock(), metrics, engine.on_isolation)
    forwarding = await connect_gateway(settings.logging, around, metrics) if settings.logging else None
    checks: dict[str, Callable[[], str | None]] = {
        "workers": engine.dead_workers,
        "watches": partial(_stale_watches, informer, settings.watch_stale),
        "feed": witness.complaint,
        "scan": scan.dead,
    }
    if vault:
        checks["secrets"] = vault.lane.dead_workers
    server = HealthServer(checks, metrics.registry, host=health.host, port=health.port)
    return Operator(
        client,
        informer,
        events,
        engine,
        witness,
        metrics,
        server,
        policies,
        scan,
        entrypoints,
        election,
        prober,
        vault,
        forwarding,
    )


def _stale_watches(informer: Informer, limit: float) -> str | None:
    stale = [f"{kind} for {age:.0f} s" for kind, age in informer.ages().items() if age > limit]
    return f"not heard of: {', '.join(sorted(stale))}" if stale else None


def run(arguments: argparse.Namespace, version: str) -> int:
    """Reconcile until stopped; returns the exit status."""
    configure_logging(arguments.log_level, json=arguments.log_format == "json")
    return uvloop.run(_run(arguments, version))


def _probe(arguments: argparse.Namespace) -> ProbeSettings | None:
    if arguments.probe_image is None:
        return None
    return ProbeSettings(
        image=arguments.probe_image,
        namespace=arguments.probe_namespace,
        interval=arguments.probe_interval,
        outside=tuple(arguments.probe_outside),
    )


async def _run(arguments: argparse.Namespace, version: str) -> int:
    try:
        vault = read_settings(VaultSettings, arguments.vault) if arguments.vault else None
        logging = read_settings(LoggingSettings, arguments.logging) if arguments.logging else None
        asked = arguments.image_registries
        registries = read_settings(RegistrySettings, asked) if asked else RegistrySettings()
    except OperatorError as error:
        log.error("cannot_start", why=str(error))
        return 1
    settings = Settings(
        reserved_networks=tuple(arguments.reserved_network),
        workers=arguments.workers,
        writes_in_flight=arguments.writes_in_flight,
        watch_inactivity=arguments.watch_inactivity,
        watch_stale=arguments.watch_stale,
        lease_namespace=arguments.lease_namespace,
        scan_interval=arguments.scan_interval,
        probe=_probe(arguments),
        wasm_image=arguments.wasm_image or "",
        vault=vault,
        logging=logging,
        registries=registries,
    )
    try:
        files = PolicyFiles(arguments.bundle, arguments.settings)
        health = Address(arguments.host, arguments.port)
        operator = await build_operator(settings, files, health, version)
        await operator.run()
    except (OperatorError, ListenError) as error:
        log.error("cannot_start", why=str(error))
        return 1
    return 0
