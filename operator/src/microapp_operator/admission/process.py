"""The webhook as a process: what is wired to what, in which order it starts and ends."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from microapp_operator.adapters.http import Check, HealthServer
from microapp_operator.adapters.kubernetes.client import KubernetesClient
from microapp_operator.adapters.kubernetes.networks import discover_networks
from microapp_operator.adapters.policies import Policies, PolicyFiles
from microapp_operator.admission.enquiry import ClusterEnquirer
from microapp_operator.admission.facts import Rulebook
from microapp_operator.admission.feed import Feed
from microapp_operator.admission.judge import Judge
from microapp_operator.admission.metrics import WebhookMetrics
from microapp_operator.admission.rotation import Certificates, keep_fresh
from microapp_operator.admission.server import WebhookServer
from microapp_operator.errors import Transient
from microapp_operator.policy.context import Knowledge
from microapp_operator.ports import Clock

log = structlog.get_logger(__name__)
_WATCH_STALE = 150.0


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """host, port: of the webhook. health_port: of /healthz, /readyz and /metrics, on the same host.

    policies: files that are looked at again while it runs.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a server in a pod of its own
    port: int = 9443
    health_port: int = 8080
    policies: PolicyFiles = field(default_factory=PolicyFiles)


@dataclass(slots=True)
class Webhook:
    """One process of the webhook; stateless, any number may run."""

    client: KubernetesClient
    certificates: Certificates
    options: WebhookOptions
    clock: Clock
    metrics: WebhookMetrics = field(default_factory=WebhookMetrics)
    _started: bool = False

    async def run(self) -> None:
        """Serve until a signal. PolicyFailure or InvalidSpec when bundle or settings can't be used, ListenError."""
        reserved = [str(n) for n in await discover_networks(self.client)]
        policies = Policies(self.options.policies, reserved)
        known = Knowledge.under(policies.settings)
        policies.on_change = partial(self._changed, policies, known)
        policies.on_refused = self.metrics.bundle_refused
        self._changed(policies, known)
        self.metrics.track_certificate(lambda: self.certificates.ends)
        feed = Feed(self.client, known, self.metrics.watch_restarted)
        enquirer = ClusterEnquirer(self.client, feed, partial(_rulebook, policies), self.clock)
        judge = Judge(policies.engine, known, enquirer)
        judge.on_review, judge.on_denial = self.metrics.reviewed, self.metrics.denied
        server = WebhookServer(judge, self.certificates, host=self.options.host, port=self.options.port)
        health = HealthServer(
            self._checks(feed),
            self.metrics.registry,
            host=self.options.host,
            port=self.options.health_port,
            facts={"bundle": lambda: policies.engine.digest},
        )
        stop = _signals()
        await health.start()
        starting = asyncio.create_task(self._start(feed, server), name="start")
        loops = [starting, asyncio.create_task(policies.keep_current(), name="policies")]
        starting.add_done_callback(lambda task: stop.set() if task.cancelled() or task.exception() else None)
        await stop.wait()
        self._started = False
        log.info("stopping")
        for loop in loops:
            loop.cancel()
        ended = (await asyncio.gather(*loops, return_exceptions=True))[0]
        await server.stop()
        await feed.stop()
        await health.stop()
        await self.client.close()
        policies.close()
        if isinstance(ended, Exception):
            raise ended

    async def _start(self, feed: Feed, server: WebhookServer) -> None:
        """Listen once certificate and first lists are there; then keep the certificate fresh."""
        await self._refresh_until_served()
        await feed.start()
        await server.start()
        self._started = True
        await keep_fresh(self.certificates)

    def _changed(self, policies: Policies, known: Knowledge) -> None:
        known.settings = policies.settings.document()
        self.metrics.bundle(policies.engine.digest)

    async def _refresh_until_served(self) -> None:
        """A webhook without a certificate answers nobody: wait for the API server to have one stored."""
        while self.certificates.ends is None:
            try:
                await self.certificates.refresh()
            except Transient as error:
                log.warning("certificates_not_ready", why=str(error))
                await asyncio.sleep(1.0)

    def _checks(self, feed: Feed) -> Mapping[str, Check]:
        return {
            "started": lambda: None if self._started else "still starting, or stopping",
            "watches": lambda: _stale(feed),
            "certificate": lambda: None if self.certificates.ends else "there is none yet",
        }


def _rulebook(policies: Policies) -> Rulebook:
    return Rulebook(policies.engine.digest, policies.engine.rules, policies.settings)


def _stale(feed: Feed) -> str | None:
    old = [kind for kind, age in feed.ages().items() if age > _WATCH_STALE]
    return f"not heard of: {', '.join(sorted(old))}" if old else None


def _signals() -> asyncio.Event:
    """Set by the signals that ask to stop, however far the start has come."""
    stop = asyncio.Event()
    register: Callable[..., None] = asyncio.get_running_loop().add_signal_handler
    for number in (signal.SIGTERM, signal.SIGINT):
        register(number, stop.set)
    return stop
