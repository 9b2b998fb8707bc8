"""Workers that talk to the secret store, a pulse that tells whether it serves, and what was last seen.

While the store serves nobody the workers wait: one request at a time asks for all. Must not import adapters.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog

from microapp_operator.desired.context import SourceKind
from microapp_operator.errors import OperatorError, StoreBusy, StoreDown
from microapp_operator.ports import Clock, SecretStore
from microapp_operator.reasons import Finding
from microapp_operator.reconcile.queue import Key, WorkQueue
from microapp_operator.reconcile.secrets.identity import IdentityKeeper
from microapp_operator.reconcile.secrets.wish import Removal, SecretState, Wish

log = structlog.get_logger(__name__)
_WORKERS: Final = 8
_PULSE: Final = 15.0
"""Most seconds between two questions whether the store serves; while it doesn't, a third of that."""
_PATIENCE: Final = 3
"""Refusals in a row before status tells of them."""
_LOOK_AGAIN: Final = 30.0
"""Seconds after which a refusal, or a secret that isn't there, is looked at again: the store has no watch."""
_BETWEEN_ROTATIONS: Final = 60.0
"""Seconds between two rotations of our own: each may restart the pods of an app."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look at one app found: the digest of the wish it was for, and its secrets."""

    digest: str
    states: tuple[SecretState, ...]


@dataclass(slots=True)
class SecretLane:
    """on_change asks for another pass over an app. resync: seconds between two looks at one."""

    store: SecretStore
    keeper: IdentityKeeper
    clock: Clock
    resync: float
    on_change: Callable[[Key], None]
    on_outage: Callable[[Finding | None], None] = lambda _: None
    outage: Finding | None = None
    asked: bool = False
    _queue: WorkQueue = field(default_factory=lambda: WorkQueue(base=1.0))
    _wishes: dict[Key, Wish] = field(default_factory=dict)
    _removals: dict[Key, Removal] = field(default_factory=dict)
    _removed: set[Key] = field(default_factory=set)
    _seen: dict[Key, Seen] = field(default_factory=dict)
    _refusals: dict[Key, Finding] = field(default_factory=dict)
    _serving: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _rotate_at: float = 0.0

    def start(self) -> None:
        """Start workers and pulse."""
        self._tasks = [asyncio.create_task(self._work(), name=f"secrets-{i}") for i in range(_WORKERS)]
        self._tasks.append(asyncio.create_task(self._beat(), name="secrets-pulse"))

    async def stop(self) -> None:
        """End them; what was begun is taken up again by the next process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._queue.close()

    def dead_workers(self) -> str | None:
        """For /readyz: why nothing is done, or None."""
        dead = [t.get_name() for t in self._tasks if t.done()]
        return f"workers ended: {', '.join(dead)}" if dead else None

    def want(self, key: Key, wish: Wish) -> None:
        """Have the store brought to ``wish``; the same wish again costs nothing."""
        old = self._wishes.get(key)
        self._wishes[key] = wish
        self._removals.pop(key, None)
        self._removed.discard(key)
        if old is None or old.digest() != wish.digest() or old.sources != wish.sources:
            self._queue.add(key)

    def remove(self, key: Key, removal: Removal) -> bool:
        """Have the identity removed; True once it is."""
        self._wishes.pop(key, None)
        self._seen.pop(key, None)
        if key not in self._removed and self._removals.get(key) != removal:
            self._removals[key] = removal
            self._queue.add(key)
        return key in self._removed

    def forget(self, key: Key) -> None:
        """Neither wanted nor to be removed; what stands stays."""
        self._wishes.pop(key, None)
        self._removals.pop(key, None)
        self._seen.pop(key, None)
        self._refusals.pop(key, None)
        self._removed.discard(key)
        self._queue.drop(key)

    def seen(self, key: Key) -> Seen | None:
        """What the last look found, None before the first."""
        return self._seen.get(key)

    def refusal(self, key: Key) -> Finding | None:
        """Why the store keeps not serving this app, None while it does."""
        return self._refusals.get(key)

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            try:
                await self._serving.wait()
                await self._attend(key)
            except StoreDown as error:
                self._set_outage(error.finding)
                self._queue.add(key)
            except StoreBusy as error:
                delay = self._queue.retry(key)
                log.warning("store_busy", app=key[1], namespace=key[0], why=str(error), delay_seconds=round(delay, 1))
                if self._queue.failures(key) >= _PATIENCE:
                    self._refuse(key, error.finding)
            except OperatorError as error:
                log.warning("store_refuses", app=key[1], namespace=key[0], why=str(error))
                self._refuse(key, error.finding)
                self._queue.add_after(key, _LOOK_AGAIN)
            except Exception:  # a bug met by one app must not stop the others: logged, retried
                log.exception("secrets_crashed", app=key[1], namespace=key[0])
                self._queue.retry(key)
            finally:
                self._queue.done(key)

    async def _attend(self, key: Key) -> None:
        removal, wish = self._removals.get(key), self._wishes.get(key)
        if removal is not None:
            await self.keeper.remove(removal)
            log.info("identity_removed", app=key[1], namespace=key[0], role=removal.name)
            if self._removals.pop(key, None) is removal:
                self._removed.add(key)
                self.on_change(key)
        elif wish is not None:
            states = await self.keeper.bring(self._known(key, wish))
            self._note(key, wish, states)
            await self._rotate(wish, states)
        self._queue.forget(key)

    def _known(self, key: Key, wish: Wish) -> Wish:
        """With what this process brought about itself, which status may not say yet."""
        seen, digest = self._seen.get(key), wish.digest()
        return replace(wish, applied=digest) if seen is not None and seen.digest == digest else wish

    def _note(self, key: Key, wish: Wish, states: tuple[SecretState, ...]) -> None:
        if self._wishes.get(key) is not wish and (
            key not in self._wishes or self._wishes[key].digest() != wish.digest()
        ):
            return  # it has changed meanwhile, and is queued again
        seen, refused = Seen(wish.digest(), states), self._refusals.pop(key, None)
        if self._seen.get(key) != seen or refused is not None:
            self._seen[key] = seen
            self.on_change(key)
        pause = _LOOK_AGAIN if any(s.missing for s in states) else self.resync
        self._queue.add_after(key, pause * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, hides nothing

    async def _rotate(self, wish: Wish, states: Iterable[SecretState]) -> None:
        """Have the engine rotate what is overdue and it can rotate, one at a time over all apps."""
        loop, limit = asyncio.get_running_loop(), timedelta(days=wish.tier.spec.rotation_days)
        sources = {s.name: s for s in wish.sources if s.kind is SourceKind.STATIC}
        for state in states:
            source = sources.get(state.name)
            if source is None or state.rotated_at is None or self.clock.now() - state.rotated_at < limit:
                continue
            if loop.time() < self._rotate_at:
                return
            self._rotate_at = loop.time() + _BETWEEN_ROTATIONS
            await self.keeper.rotate(source.mount, source.path.removeprefix("static-creds/"))
            log.info("secret_rotated", secret_id=source.secret_id)
            self._queue.add((wish.app.metadata.namespace, wish.app.metadata.name))

    def _refuse(self, key: Key, finding: Finding) -> None:
        if self._refusals.get(key) != finding:
            self._refusals[key] = finding
            self.on_change(key)

    async def _beat(self) -> None:
        """Ask for all whether the store serves: a store can't be watched."""
        while True:
            try:
                await self.store.ping()
                self._set_outage(None)
            except StoreDown as error:
                self._set_outage(error.finding)
            except OperatorError as error:
                log.warning("store_pulse", why=str(error))
            except Exception:  # a pulse that ends would leave every app waiting
                log.exception("store_pulse_crashed")
            pause = min(_PULSE, self.resync)
            await asyncio.sleep(pause if self.outage is None else pause / 3)

    def _set_outage(self, finding: Finding | None) -> None:
        """Tell everyone when it begins, ends, or is another one."""
        first, self.asked = not self.asked, True
        if finding is None:
            self._serving.set()
        else:
            self._serving.clear()
        if finding == self.outage and not first:
            return
        if finding is None:
            log.info("store_serves")
        else:
            log.warning("store_down", reason=finding.reason, why=finding.message)
        self.outage = finding
        self.on_outage(finding)
        for key in {*self._wishes, *self._removals}:
            self.on_change(key)
