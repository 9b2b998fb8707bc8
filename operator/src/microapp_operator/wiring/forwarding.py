"""The log gateway's side of the operator: who asks it how records fare, and who sends it the cluster's Events."""

from dataclasses import dataclass
from functools import partial

from microapp_operator.adapters.kubernetes.event_log import EventLog
from microapp_operator.adapters.kubernetes.log_gateway import HttpLogGateway
from microapp_operator.decide.forwarding import LogGateway
from microapp_operator.metrics import Metrics
from microapp_operator.reconcile.forwarding import ForwardingWatcher
from microapp_operator.reconcile.queue import Priority
from microapp_operator.scan.wiring import Surroundings
from microapp_operator.settings import LoggingSettings


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the process that leads runs for it."""

    watcher: ForwardingWatcher
    events: EventLog


async def connect_gateway(settings: LoggingSettings, around: Surroundings, metrics: Metrics) -> Forwarding:
    """Wired, nothing started; the store knows where the gateway is.

    OperatorError when it isn't there: without its address every app would be rendered without a forwarder.
    """
    gateway = HttpLogGateway(around.client, settings)
    around.store.gateway = LogGateway(settings, await gateway.address())
    again = partial(around.queue.add, priority=Priority.FAN_OUT)
    children = around.informer.cache
    watcher = ForwardingWatcher(gateway, around.store, children, around.clock, again)

    def governed(namespace: str) -> bool:
        found = children.namespace(namespace)
        return found is not None and found.managed

    return Forwarding(watcher, EventLog(around.client, governed, metrics.watch_restarted, around.clock.now))
