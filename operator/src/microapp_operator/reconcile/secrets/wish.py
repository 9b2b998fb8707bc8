"""What the store should hold for one app, and what was seen of its secrets. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.desired.vault import build_policy, build_role, own_database_roles
from microapp_operator.model import MicroApp, RiskTier
from microapp_operator.model.canonical import digest
from microapp_operator.model.status import SecretStatus
from microapp_operator.reasons import Finding
from microapp_operator.settings import VaultSettings

_SLACK: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Wish:
    """One app's identity and the secrets it may read.

    account_uid: of its ServiceAccount. stale_uid: of the one before, whose entity goes; empty when there is none.
    applied: digest of the wish that status says was last brought about.
    """

    app: MicroApp
    tier: RiskTier
    sources: tuple[SecretSource, ...]
    store: VaultSettings
    account_uid: str
    stale_uid: str = ""
    applied: str = ""

    def digest(self) -> str:
        """Of everything the store is to hold."""
        roles = sorted([*where, template] for where, template in own_database_roles(self.sources).items())
        role, policy = build_role(self.app, self.tier, self.store), build_policy(self.app, self.sources)
        return digest([role, policy, roles, self.account_uid])


@dataclass(frozen=True, slots=True)
class Removal:
    """An identity that is to go: name of role and policy, and the account's UID."""

    name: str
    account_uid: str


@dataclass(frozen=True, slots=True)
class SecretState:
    """One secret as the store has it.

    missing: why it can't be read. absent: there isn't even an engine or role for it, so the policy leaves it out.
    rotated_at: None for one made on demand. period: how often the engine rotates it by itself.
    """

    name: str
    missing: Finding | None = None
    absent: bool = False
    version: str = ""
    rotated_at: datetime | None = None
    period: timedelta | None = None


def update_entries(
    sources: tuple[SecretSource, ...], states: tuple[SecretState, ...], before: tuple[SecretStatus, ...]
) -> tuple[SecretStatus, ...]:
    """Status entries of ``sources`` after ``states`` were seen; where nothing was seen, as ``before``."""
    seen, known = {s.name: s for s in states}, {e.name: e for e in before}
    return tuple(_entry(source, seen.get(source.name), known.get(source.name)) for source in sources)


def _entry(source: SecretSource, state: SecretState | None, before: SecretStatus | None) -> SecretStatus:
    old = before if before is not None and before.secret_id == source.secret_id else None
    entry = SecretStatus(
        name=source.name,
        state=old.state if old else "Pending",
        secret_id=source.secret_id,
        justification=source.justification,
        rotated_at=old.rotated_at if old else None,
        version=old.version if old else "",
        restarts=old.restarts if old else 0,
    )
    if state is None:
        return entry
    return entry.model_copy(
        update={
            "state": "Ready" if state.missing is None else "Pending",
            "rotated_at": _text(state.rotated_at) if state.rotated_at else entry.rotated_at,
            "version": state.version or entry.version,
            "restarts": entry.restarts + _must_restart(source, state, entry),
        }
    )


def _must_restart(source: SecretSource, state: SecretState, before: SecretStatus) -> bool:
    """Whether running pods have a value they can't get rid of by themselves.

    An agent fetches a rotated user's password when the engine's own time for it has come; a rotation ahead of that
    time passes it by.
    """
    if not before.version or not state.version or before.version == state.version:
        return False
    if source.restart:
        return True
    if source.kind is not SourceKind.STATIC or not (before.rotated_at and state.rotated_at and state.period):
        return False
    expected = datetime.fromisoformat(before.rotated_at) + state.period
    return state.rotated_at < expected - min(_SLACK, state.period / 10)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
