"""The registries' side of the operator: who asks them what images run."""

from functools import partial

from microapp_operator.adapters.registry import HttpRegistries
from microapp_operator.reconcile.entrypoints import EntrypointLane
from microapp_operator.reconcile.queue import Priority, WorkQueue
from microapp_operator.reconcile.store import Store
from microapp_operator.settings import RegistrySettings


def connect_registries(settings: RegistrySettings, store: Store, queue: WorkQueue) -> EntrypointLane:
    """Wired, nothing started; the store knows what is known. ``queue`` gets the keys of apps that have an answer."""
    lane = EntrypointLane(HttpRegistries(settings), partial(queue.add, priority=Priority.NEW))
    store.entrypoints = lane.answers
    return lane
