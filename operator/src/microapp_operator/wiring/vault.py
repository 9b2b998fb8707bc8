"""The secret store's side of the operator: its client, the lane that works on it, the desk that speaks for it."""

from dataclasses import dataclass
from functools import partial

from microapp_operator.adapters.vault import VaultStore
from microapp_operator.metrics import Metrics
from microapp_operator.ports import Events
from microapp_operator.reconcile.queue import Priority, WorkQueue
from microapp_operator.reconcile.secrets import Desk, SecretLane
from microapp_operator.reconcile.secrets.identity import IdentityKeeper
from microapp_operator.settings import VaultSettings
from microapp_operator.wiring.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Vault:
    """All of it."""

    store: VaultStore
    lane: SecretLane
    desk: Desk

    async def stop(self) -> None:
        """End the work, then the connections."""
        await self.lane.stop()
        await self.store.close()


def connect_vault(settings: VaultSettings, queue: WorkQueue, events: Events, metrics: Metrics) -> Vault:
    """Wired, nothing started. ``queue`` gets the keys of apps to look at again."""
    store = VaultStore(settings, on_request=metrics.store_requested, on_login=metrics.store_login)
    keeper = IdentityKeeper(store, settings)
    lane = SecretLane(store, keeper, SystemClock(), settings.resync, partial(queue.add, priority=Priority.FAN_OUT))
    lane.on_outage = lambda finding: metrics.store_serves(finding is None)
    desk = Desk(lane, events, SystemClock(), metrics)
    keeper.on_drift = desk.drifted
    return Vault(store, lane, desk)
