"""Whose records they are: the address of the connection says it, by way of the pod that has it. Pure.

Imports ottl and redaction of its neighbours.
``k8s_attributes`` doesn't overwrite, so what a request claims is put aside first. A request from an address of which no
pod is known, or of another pod than the one that sent it (the address had been used before, and the news hasn't come
yet), is refused in a way that makes the sender keep it: nothing is ever put down to the wrong app.
"""

from collections.abc import Iterator
from typing import Any, Final

from microapp_operator.constants import LABEL_APP, LABEL_CLASSIFICATION, LABEL_LOG_RETENTION, LABEL_TENANT, LABEL_TIER
from microapp_operator.desired.forwarding.ottl import listed
from microapp_operator.desired.forwarding.redaction import CORRECTED, RETENTION

AUDIT_DAYS: Final = 365
"""Audit records are kept no shorter than this, and so is what has no class."""
DROPPED: Final = "microapp.log.dropped"
POD: Final = ("k8s.pod.uid", "k8s.pod.name", "k8s.namespace.name", "k8s.node.name")
WHO: Final = ("app_id", "tenant_id")
CLASS: Final = ("microapp.risk_tier", "microapp.classification")
_CLAIMED: Final = "microapp.claimed."
_UID: Final = f"{_CLAIMED}pod_uid"
_COMPONENT: Final = "microapp.component"


def build_claimed() -> list[str]:
    """Statements on a resource: of what it says, its pod and its app are put aside, and the rest is gone."""
    at = "resource.attributes"
    moved = {POD[0]: _UID, **{name: f"{_CLAIMED}{name}" for name in WHO}}
    return [
        f"keep_keys({at}, {listed((POD[0], *WHO, DROPPED))})",
        *(f'set({at}["{new}"], {at}["{old}"])' for old, new in moved.items()),
        *(f'delete_key({at}, "{old}")' for old in moved),
        f'delete_key({at}, "{DROPPED}") where not IsInt({at}["{DROPPED}"])',
        'set(resource.schema_url, "")',
    ]


def build_pods_of_apps() -> dict[str, Any]:
    """``k8s_attributes`` for apps. What the namespace is labelled with is the operator's word, not the tenant's."""
    labels = {
        WHO[0]: LABEL_APP,
        WHO[1]: LABEL_TENANT,
        CLASS[0]: LABEL_TIER,
        CLASS[1]: LABEL_CLASSIFICATION,
        RETENTION: LABEL_LOG_RETENTION,
    }
    return _pods(
        {"labels": [{"key": LABEL_APP, "op": "exists"}]},
        [{"tag_name": tag, "key": key, "from": "namespace"} for tag, key in labels.items()],
    )


def build_pods_of_platform(namespace: str) -> dict[str, Any]:
    """The same for the platform's own pods, which are in ``namespace``."""
    component = {"tag_name": _COMPONENT, "key": "app.kubernetes.io/component", "from": "pod"}
    return _pods({"namespace": namespace}, [component])


def build_named_platform() -> list[str]:
    """Statements on a resource: a component of the platform as if it were an app."""
    at = "resource.attributes"
    known = f'where {at}["{_COMPONENT}"] != nil'
    return [
        f'set({at}["{WHO[0]}"], Concat(["microapp", {at}["{_COMPONENT}"]], "-")) {known}',
        f'set({at}["{WHO[1]}"], {at}["k8s.namespace.name"]) {known}',
        f'delete_key({at}, "{_COMPONENT}")',
    ]


def build_refusal(*, claim: bool) -> list[str]:
    """Statements on a resource that fail if nobody can tell whose it is. claim: it has to say which pod it is from."""
    at = "resource.attributes"
    needed = " or ".join(f'{at}["{name}"] == nil' for name in (POD[0], *WHO))
    other = f'{at}["{_UID}"] != {at}["{POD[0]}"]'
    if not claim:
        other = f'{at}["{_UID}"] != nil and {other}'
    texts = (("the connection is from no pod that is known", needed), ("the connection is from another pod", other))
    return [
        # A duration it isn't: there is no statement of which failing is the purpose.
        *(f'set({at}["refused"], Duration("{text}")) where {wrong}' for text, wrong in texts),
        f'delete_key({at}, "{_UID}")',
    ]


def build_identity() -> Iterator[str]:
    """Statements on a record whose body has its form: whose it is, whether it said otherwise, how long it is kept."""
    for name in WHO:
        true = f'resource.attributes["{name}"]'
        for claim in (f'log.body["{name}"]', f'resource.attributes["{_CLAIMED}{name}"]'):
            yield f'set(log.attributes["{CORRECTED}"], true) where {claim} != nil and {claim} != {true}'
        yield f'set(log.body["{name}"], {true})'
    days = f'log.attributes["{RETENTION}"]'
    audit = 'IsString(log.body["action"]) and IsString(log.body["outcome"])'
    yield f'set({days}, Int(resource.attributes["{RETENTION}"]))'
    yield f"set({days}, {AUDIT_DAYS}) where {days} == nil or ({audit} and {days} < {AUDIT_DAYS})"


def build_forgotten() -> list[str]:
    """Statements on a resource: what was put aside is needed no more."""
    at = "resource.attributes"
    return [f'delete_key({at}, "{name}")' for name in (*(f"{_CLAIMED}{name}" for name in WHO), RETENTION)]


def _pods(chosen: dict[str, Any], labels: list[dict[str, str]]) -> dict[str, Any]:
    """Without waiting for the first list: until it has come everything is refused, as it would be if nothing ran."""
    return {
        "auth_type": "serviceAccount",
        "filter": chosen,
        "extract": {"metadata": list(POD), "labels": labels},
        "pod_association": [{"sources": [{"from": "connection"}]}],
        "wait_for_metadata": False,
    }
