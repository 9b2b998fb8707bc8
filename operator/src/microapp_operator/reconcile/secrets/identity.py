"""Brings one app's role, policy and database roles to what they should be, and takes them away again.

What is right already is not written. What was right and isn't any more was changed behind our back: it is repaired,
and the fields are told.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

from microapp_operator.desired.vault import (
    build_database_role,
    build_policy,
    build_role,
    identity_name,
    own_database_roles,
)
from microapp_operator.errors import Blocked
from microapp_operator.ports import SecretStore
from microapp_operator.reasons import Reason
from microapp_operator.reconcile.secrets.survey import observe_secret
from microapp_operator.reconcile.secrets.wish import Removal, SecretState, Wish
from microapp_operator.settings import VaultSettings

_POLICIES: Final = "sys/policies/acl"


class OnStoreDrift(Protocol):
    """Told of what was changed behind our back and is repaired."""

    def __call__(self, wish: Wish, what: str, fields: list[str]) -> None:
        """``what``: kind and name. ``fields``: those that differed; empty: it was gone."""


class IdentityKeeper:
    """Writes to the store; on_drift is told of what was changed behind our back."""

    def __init__(self, store: SecretStore, settings: VaultSettings, on_drift: OnStoreDrift = lambda *_: None) -> None:
        self._store, self._settings, self.on_drift = store, settings, on_drift

    async def bring(self, wish: Wish) -> tuple[SecretState, ...]:
        """Everything as ``wish`` says; returns what was seen of the secrets. Errors as ``ports`` says.

        Looks before it writes, so that nothing is written for an engine or a role that isn't there. The policy
        stands before the role that names it.
        """
        states = tuple(await asyncio.gather(*(observe_secret(self._store, s) for s in wish.sources)))
        absent = {s.name for s in states if s.absent}
        there = tuple(s for s in wish.sources if s.name not in absent)
        known = wish.applied == wish.digest()
        if not known:
            await self._remove_obsolete(wish)
        for (mount, name), template in own_database_roles(there).items():
            given = await self._store.read(f"{mount}/roles/{template}")
            wanted = build_database_role(dict(given or {}), wish.tier)
            await self._write(wish, f"{mount}/roles/{name}", wanted, f"database role {name}" if known else "")
        name = identity_name(wish.app)
        policy = {"policy": build_policy(wish.app, there)}
        await self._write(wish, f"{_POLICIES}/{name}", policy, f"policy {name}" if known else "")
        role = build_role(wish.app, wish.tier, self._settings)
        await self._write(wish, self._role(name), role, f"role {name}" if known else "")
        if wish.stale_uid and wish.stale_uid != wish.account_uid:
            await self._store.delete_entity(wish.stale_uid)
        return states

    async def remove(self, removal: Removal) -> None:
        """Role (no login any more), policy (no live token reads any more), leases, database roles, entity."""
        await self._store.delete(self._role(removal.name))
        await self._store.delete(f"{_POLICIES}/{removal.name}")
        for mount in self._settings.database_mounts:
            for role in await self._own_roles(mount, removal.name):
                await self._remove_database_role(mount, role)
        await self._store.delete_entity(removal.account_uid)

    async def rotate(self, mount: str, role: str) -> None:
        """Have the engine rotate the user of a static role now."""
        await self._store.write(f"{mount}/rotate-role/{role}", {})

    def _role(self, name: str) -> str:
        return f"auth/{self._settings.auth_mount}/role/{name}"

    async def _write(self, wish: Wish, path: str, wanted: Mapping[str, Any], told_as: str) -> None:
        """``told_as``: what to call it when it isn't as it was left; empty for one that is new or changes."""
        have = await self._store.read(path)
        differing = [key for key, value in wanted.items() if have is None or not _same(have.get(key), value)]
        if have is not None and not differing:
            return
        if told_as:
            self.on_drift(wish, told_as, [] if have is None else differing)
        await self._store.write(path, _for_writing(wanted))

    async def _remove_obsolete(self, wish: Wish) -> None:
        """Database roles of secrets that are no longer declared or approved."""
        kept = own_database_roles(wish.sources)
        for mount in self._settings.database_mounts:
            for role in await self._own_roles(mount, identity_name(wish.app)):
                if (mount, role) not in kept:
                    await self._remove_database_role(mount, role)

    async def _own_roles(self, mount: str, name: str) -> list[str]:
        try:
            return [role for role in await self._store.list(f"{mount}/roles") if role.startswith(f"{name}.")]
        except Blocked as error:
            if error.finding.reason is not Reason.SECRET_ENGINE_NOT_FOUND:
                raise
            return []

    async def _remove_database_role(self, mount: str, role: str) -> None:
        await self._store.write(f"sys/leases/revoke-prefix/{mount}/creds/{role}", {})
        await self._store.delete(f"{mount}/roles/{role}")


def _same(have: Any, wanted: Any) -> bool:
    """Vault leaves out, or answers null for, what is empty; order in its lists means nothing."""
    if isinstance(wanted, list):
        return sorted(have or ()) == sorted(wanted)
    return (have or None) == (wanted or None)


def _for_writing(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A role's one policy as text: the operator's own policy lets it name one, and a list can't be told from more."""
    policies = wanted.get("token_policies")
    return {**wanted, "token_policies": ",".join(policies)} if policies is not None else dict(wanted)
