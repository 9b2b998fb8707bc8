"""Leader election by a Lease (coordination.k8s.io/v1): of several processes one writes, and a deposed one never does.

The library's own election goes by the wall clock, gives a request no deadline, and ends at an error of the network;
so this is ours. Time is the loop's, which no clock change moves: another's Lease has run out when it hasn't changed
for its duration as watched from here, and our own when it wasn't renewed for ``RENEW_WITHIN``, counted from before
the request was sent. The difference of both is the room for a write that is on its way when leadership ends.
"""

import asyncio
import random
from datetime import datetime
from typing import Final

import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import Kind
from microapp_operator.errors import Gone, OperatorError
from microapp_operator.model.common import Manifest
from microapp_operator.ports import Clock

log = structlog.get_logger(__name__)
DURATION: Final = 15
"""Seconds for which others leave our Lease alone."""
RENEW_WITHIN: Final = 10.0
"""Seconds after the last renewal in which we may still write."""
RETRY: Final = 2.0
"""Seconds between two attempts."""
_LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases", selector="")


class Election:
    """One candidate. identity: unlike any other process's; it shows in the Lease."""

    def __init__(self, client: KubernetesClient, namespace: str, name: str, identity: str, clock: Clock) -> None:
        self._client, self._namespace, self._name, self._identity = client, namespace, name, identity
        self._clock = clock
        self._renewed = -float("inf")
        self._seen: tuple[object, ...] = ()
        self._seen_at = 0.0

    def remaining(self) -> float:
        """Seconds for which this process may still write; 0 or less when it may not."""
        return self._renewed + RENEW_WITHIN - asyncio.get_running_loop().time()

    async def lead(self) -> None:
        """Return once this process is the leader."""
        log.info("standing_by", lease=self._name, identity=self._identity)
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(RETRY * random.uniform(0.8, 1.2))  # noqa: S311 - only to spread the attempts
        log.info("leading", lease=self._name, identity=self._identity)

    async def keep(self) -> None:
        """Renew the Lease; returns when it is lost, and then ``remaining`` stays at 0 or less."""
        while self.remaining() > 0:
            await asyncio.sleep(min(RETRY, max(0.0, self.remaining())))
            if not await self._attempt() and self._taken():
                break
        self._renewed = -float("inf")
        log.error("deposed", lease=self._name, identity=self._identity)

    async def release(self) -> None:
        """Give the Lease up, so that another can take it at once. What fails only makes others wait for its end."""
        if self.remaining() <= 0:
            return
        self._renewed = -float("inf")
        try:
            lease = await self._read()
            if lease is not None and _holder(lease) == self._identity:
                await self._put(lease, "")
        except OperatorError as error:
            log.warning("lease_not_released", why=str(error))

    def _taken(self) -> bool:
        return bool(self._seen) and self._seen[0] not in (self._identity, "")

    async def _attempt(self) -> bool:
        """Take or renew the Lease; False when it is another's, or nothing could be had of the API server."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(RENEW_WITHIN / 2):
                held = await self._take(started)
        except (OperatorError, TimeoutError) as error:
            log.warning("lease_not_renewed", why=str(error) or "no answer in time")
            return False
        if held:
            self._renewed = started
        return held

    async def _take(self, now: float) -> bool:
        lease = await self._read()
        if lease is None:
            await self._create()
            return True
        holder = _holder(lease)
        self._observe(lease, now)
        if holder not in ("", self._identity) and now < self._seen_at + _duration(lease):
            return False
        await self._put(lease, self._identity)
        self._seen = (self._identity,)
        return True

    def _observe(self, lease: Manifest, now: float) -> None:
        spec = lease.get("spec") or {}
        seen = (_holder(lease), spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, now

    async def _read(self) -> Manifest | None:
        path = f"{_LEASE.collection(self._namespace)}/{self._name}"
        try:
            return await self._client.read(Call("GET", path, _LEASE.plural))
        except Gone:
            return None

    async def _create(self) -> None:
        spec = {**self._spec(self._identity), "acquireTime": self._now(), "leaseTransitions": 0}
        body = {
            "apiVersion": _LEASE.api_version,
            "kind": _LEASE.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }
        await self._client.write_now(Call("POST", _LEASE.collection(self._namespace), _LEASE.plural, body=body))

    async def _put(self, lease: Manifest, holder: str) -> None:
        """Onto exactly the version that was read; Conflict when another was faster."""
        spec = dict(lease.get("spec") or {})
        if holder and holder != _holder(lease):
            spec |= {"acquireTime": self._now(), "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}
        body = {**lease, "spec": {**spec, **self._spec(holder)}}
        path = f"{_LEASE.collection(self._namespace)}/{self._name}"
        await self._client.write_now(Call("PUT", path, _LEASE.plural, body=body))

    def _spec(self, holder: str) -> Manifest:
        duration = DURATION if holder else 1
        return {"holderIdentity": holder, "leaseDurationSeconds": duration, "renewTime": self._now()}

    def _now(self) -> str:
        return _micro_time(self._clock.now())


def _micro_time(when: datetime) -> str:
    """MicroTime of the Kubernetes API: RFC 3339 with six digits."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _holder(lease: Manifest) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _duration(lease: Manifest) -> float:
    return float((lease.get("spec") or {}).get("leaseDurationSeconds") or DURATION)
