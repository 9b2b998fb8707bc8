"""Where the reconciler asks for an app's secrets and is told what became of them; answers at once, from memory."""

from collections.abc import Sequence
from typing import Final, Protocol

from microapp_operator.constants import ANNOTATION_SKIP_CLEANUP, ANNOTATION_SKIP_CLEANUP_BY
from microapp_operator.decide.decision import Decision
from microapp_operator.decide.rotation import Rotation, allowed_age, evaluate_rotation
from microapp_operator.decide.secret_view import SecretsView
from microapp_operator.desired.vault import identity_name
from microapp_operator.gates import compute_fingerprint
from microapp_operator.gates.counting import parse_time
from microapp_operator.metrics import Metrics
from microapp_operator.model import MicroApp, RiskTier
from microapp_operator.model.status import SecretStatus, SecretStoreStatus
from microapp_operator.model.tier import Injection
from microapp_operator.ports import Clock, Events, ObjectRef, Observed
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.draft import Draft
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.secrets.lane import SecretLane
from microapp_operator.reconcile.secrets.wish import Removal, SecretState, Wish, update_entries

_AT_ONCE: Final = 0.0


class Secrets(Protocol):
    """What a pass over an app does about its secrets."""

    def blocks_release(self, app: MicroApp, declared: Decision) -> Finding | None:
        """Why a revision that doesn't run yet may not, although it is approved."""

    def attend(self, draft: Draft, own: Sequence[Observed]) -> float | None:
        """Note what is known in ``draft`` and ask for what should be; after how many seconds to look again."""

    def dismantle(self, app: MicroApp) -> Finding | None:
        """What of a deleted app's identity is still being removed; None when nothing is left."""

    def forget(self, app: MicroApp) -> None:
        """Nothing of the app is left."""


class NoStore:
    """``Secrets`` without a store: nothing is known of them, and nothing can be done."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def blocks_release(self, app: MicroApp, declared: Decision) -> Finding | None:  # noqa: ARG002
        """Nothing."""
        return None

    def attend(self, draft: Draft, own: Sequence[Observed]) -> float | None:  # noqa: ARG002
        """Nothing to ask for."""
        return None

    def dismantle(self, app: MicroApp) -> Finding | None:
        """What was made while there was a store holds the app, until an admin says not to wait."""
        record = app.status.secret_store
        if record is None or _skipped(app, record, self._events):
            return None
        message = "the app has an identity in Vault, which this operator isn't connected to any more."
        return Finding(Reason.CLEANUP_PENDING, "", message)

    def forget(self, app: MicroApp) -> None:
        """Nothing was kept."""


class Desk:
    """``Secrets`` on a lane."""

    def __init__(self, lane: SecretLane, events: Events, clock: Clock, metrics: Metrics) -> None:
        self._lane, self._events, self._clock, self._metrics = lane, events, clock, metrics

    def blocks_release(self, app: MicroApp, declared: Decision) -> Finding | None:
        """An overdue rotation, where the tier says so, of anything but what runs already."""
        record = app.status.secret_store
        if record is None or not declared.tier.spec.secrets.overdue_blocks_releases:
            return None
        if app.status.approved_fingerprint == compute_fingerprint(app):
            return None
        overdue = evaluate_rotation(record.secrets, declared.tier, self._clock.now()).overdue
        return overdue[0] if overdue else None

    def attend(self, draft: Draft, own: Sequence[Observed]) -> float | None:
        """The record of the identity stands in status before the store is asked to make one, or it could leak."""
        chosen, record, key = draft.effective, draft.app.status.secret_store, _key(draft.app)
        if chosen is None:
            return None  # what ran before keeps what it has until it can be judged again
        context = chosen.secrets
        if context is None or _from_another_store(chosen.tier):
            return self._give_up(draft, key, record)
        account = next((o for o in own if o.ref.kind == "ServiceAccount"), None)
        if account is None:
            return _AT_ONCE
        if record is None:
            draft.secret_store = SecretStoreStatus(role=identity_name(chosen.app), account_uid=account.uid)
            draft.secrets = self._view(draft, None, Rotation())
            return _AT_ONCE
        wish = Wish(
            app=chosen.app,
            tier=chosen.tier,
            sources=context.sources,
            store=context.store,
            account_uid=account.uid,
            stale_uid=record.account_uid,
            applied=record.applied,
        )
        self._lane.want(key, wish)
        return self._report(draft, wish, record)

    def dismantle(self, app: MicroApp) -> Finding | None:
        """None also when an admin says not to wait, which is told."""
        record, key = app.status.secret_store, _key(app)
        if record is None or self._lane.remove(key, Removal(record.role, record.account_uid)):
            return None
        obstacle = self._lane.outage or self._lane.refusal(key)
        if obstacle is not None and _skipped(app, record, self._events):
            return None
        return Finding(Reason.CLEANUP_PENDING, "", obstacle.message if obstacle else "its identity is being removed.")

    def forget(self, app: MicroApp) -> None:
        """Nothing of the app is left."""
        self._lane.forget(_key(app))
        self._metrics.secrets_gone(*_key(app))

    def drifted(self, wish: Wish, what: str, fields: list[str]) -> None:
        """Tell of a role or policy that is being repaired."""
        how = f"was changed ({', '.join(fields)})" if fields else "was deleted"
        message = f"Vault {what} {how}; it is repaired. {Reason.DRIFT_REPAIRED.remedy}"
        self._metrics.drift("Vault", Reason.DRIFT_REPAIRED)
        _publish(self._events, wish.app, Reason.DRIFT_REPAIRED, message)

    def _give_up(self, draft: Draft, key: Key, record: SecretStoreStatus | None) -> float | None:
        """The app has no business in the store, or none any more."""
        if record is not None and self._lane.remove(key, Removal(record.role, record.account_uid)):
            draft.secret_store = None
            self._lane.forget(key)
        draft.secrets = SecretsView(
            outage=self._lane.outage, asked=self._lane.asked, observed=True, before=draft.app.status.conditions
        )
        self._metrics.secrets_gone(*key)
        return None

    def _report(self, draft: Draft, wish: Wish, record: SecretStoreStatus) -> float | None:
        seen = self._lane.seen(_key(draft.app))
        current = seen if seen is not None and seen.digest == wish.digest() else None
        entries = update_entries(wish.sources, current.states if current else (), record.secrets)
        applied = {"account_uid": wish.account_uid, "applied": wish.digest()} if current else {}
        draft.secret_store = record.model_copy(update={**applied, "secrets": entries})
        rotation = evaluate_rotation(entries, wish.tier, self._clock.now())
        draft.secrets = self._view(draft, current.states if current else None, rotation)
        rotated = {e.name: parse_time(e.rotated_at) for e in entries if e.rotated_at is not None}
        self._metrics.secrets_of(*_key(draft.app), rotated, allowed_age(wish.tier))
        self._tell(draft.app, entries, record.secrets)
        if _restarts(entries) != _restarts(record.secrets):
            return _AT_ONCE  # the pod template follows what status says
        return (rotation.next - self._clock.now()).total_seconds() + 1 if rotation.next else None

    def _view(self, draft: Draft, states: Sequence[SecretState] | None, rotation: Rotation) -> SecretsView:
        missing = tuple(s.missing for s in states if s.missing) if states is not None else ()
        return SecretsView(
            outage=self._lane.outage,
            observed=states is not None,
            asked=self._lane.asked,
            refusal=self._lane.refusal(_key(draft.app)),
            missing=missing,
            rotation=rotation,
            before=draft.app.status.conditions,
        )

    def _tell(self, app: MicroApp, after: Sequence[SecretStatus], before: Sequence[SecretStatus]) -> None:
        """An engine's own rotations are in no audit log of Vault's, so they are told here."""
        old = {e.name: e.version for e in before}
        for entry in after:
            if old.get(entry.name) and entry.version != old[entry.name]:
                message = f"Secret {entry.name} ({entry.secret_id}) was rotated at {entry.rotated_at}."
                _publish(self._events, app, Reason.SECRET_ROTATED, message, warning=False)


def _key(app: MicroApp) -> Key:
    return app.metadata.namespace, app.metadata.name


def _from_another_store(tier: RiskTier) -> bool:
    """Whether Vault has no part in it."""
    secrets = tier.spec.secrets
    return secrets.injection is Injection.EXTERNAL_SECRETS and secrets.external_store is not None


def _restarts(entries: Sequence[SecretStatus]) -> dict[str, int]:
    return {e.name: e.restarts for e in entries if e.restarts}


def _skipped(app: MicroApp, record: SecretStoreStatus, events: Events) -> bool:
    """Whether an admin says not to wait for the store, which is told, with their name."""
    annotations = app.metadata.annotations
    why = annotations.get(ANNOTATION_SKIP_CLEANUP, "").strip()
    if not why:
        return False
    who = annotations.get(ANNOTATION_SKIP_CLEANUP_BY) or "somebody whom nothing stamped"
    message = f"role and policy {record.role} may be left in Vault, says {who}: {why}. {Reason.CLEANUP_SKIPPED.remedy}"
    _publish(events, app, Reason.CLEANUP_SKIPPED, message)
    return True


def _publish(events: Events, app: MicroApp, reason: Reason, message: str, *, warning: bool = True) -> None:
    meta = app.metadata
    ref = ObjectRef("microapps.dev/v1alpha1", "MicroApp", meta.namespace, meta.name)
    events.publish(ref, uid=meta.uid, reason=reason, message=message[:1024], warning=warning)
