"""What the rules are told about an Approval besides the request: who asks, of which app, and what would fit. Pure.

Must not do I/O.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from microapp_operator.gates import (
    compute_endpoint_fingerprint,
    compute_exception_fingerprint,
    compute_fingerprint,
    compute_secret_fingerprint,
    resolve_requesters,
)
from microapp_operator.model import Approval, ApprovalScope, Manifest, MicroApp
from microapp_operator.policy.catalogue import Rule
from microapp_operator.policy.identity import identities, same_person
from microapp_operator.policy.settings import PolicySettings


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules in force as an Approval has to know them: bundle, rules by id, settings."""

    digest: str
    rules: Mapping[str, Rule]
    settings: PolicySettings


def build_approval_facts(
    user: Mapping[str, Any], approval: Approval, app: MicroApp | None, tiers: Mapping[str, Manifest], book: Rulebook
) -> Manifest:
    """``context.approval`` but for ``entitled``, which only the API server knows. app: None when there is none."""
    me = identities(user)
    requesters = resolve_requesters(app, book.settings) if app else None
    return {
        "identities": list(me),
        "comparable": sorted(same_person(me, book.settings)),
        "app": {
            "exists": app is not None,
            "requesters": sorted(requesters.identities) if requesters else [],
            "unknown": requesters.unknown if requesters else "",
        },
        "wanted": _wanted(approval, app, tiers, book),
    }


def build_exception_facts(approval: Approval, rules: Mapping[str, Rule], now: datetime) -> Manifest:
    """``context.approval.exception``: whether the rule is known and can be suspended, and for how many days."""
    exception, ends = approval.spec.exception, approval.spec.expires_at
    if exception is None or ends is None:
        return {}
    rule = rules.get(exception.rule)
    left = (datetime.fromisoformat(ends) - now).total_seconds()
    return {
        "known": rule is not None,
        "suspendable": rule is not None and rule.exceptions,
        "days": math.ceil(left / 86_400),
    }


def _wanted(
    approval: Approval, app: MicroApp | None, tiers: Mapping[str, Manifest], book: Rulebook
) -> dict[str, list[str | int]]:
    """Per field of the Approval, the values that are right now."""
    spec = approval.spec
    tier = app.spec.risk_tier if app else spec.tier
    if app is None and spec.scope is not ApprovalScope.EXCEPTION:
        return {}
    generation = tiers.get(tier, {}).get("metadata", {}).get("generation", 0)
    digests = dict.fromkeys([book.digest, *([app.status.policy_digest] if app and app.status.policy_digest else [])])
    return {
        "tier": [tier],
        "tierGeneration": [generation],
        "policyDigest": list(digests),
        "fingerprint": list(_fingerprints(approval, app, tier)),
    }


def _fingerprints(approval: Approval, app: MicroApp | None, tier: str) -> list[str]:
    spec = approval.spec
    if spec.exception is not None:
        namespace = approval.metadata.namespace
        return [compute_exception_fingerprint(namespace, spec.micro_app, tier, spec.exception)]
    if app is None:
        return []
    match spec.scope:
        case ApprovalScope.EGRESS:
            return [compute_endpoint_fingerprint(app, e) for e in app.spec.egress if e.name == spec.endpoint]
        case ApprovalScope.SECRET:
            return [compute_secret_fingerprint(app, s) for s in app.spec.secrets if s.name == spec.secret]
        case _:
            return [compute_fingerprint(app)]
