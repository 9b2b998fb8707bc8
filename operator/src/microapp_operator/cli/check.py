"""Asks the API server, by dry runs, whether what an installation promises is in force. Changes nothing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import MICRO_APP, POLICIES
from microapp_operator.constants import ANNOTATION_EDITORS, API_VERSION
from microapp_operator.errors import Blocked, Gone, OperatorError
from microapp_operator.model import Manifest

log = structlog.get_logger(__name__)
_DRY: Final = (("dryRun", "All"),)
_FRESH: Final = timedelta(seconds=60)
"""A leader renews every two seconds; the rest is for clocks that differ."""
_APPROVAL: Final = next(kind for kind in POLICIES if kind.kind == "Approval")
_JUDGED: Final = "default"
"""A namespace the webhook is asked about; it isn't about the operator's own."""


async def check_installation(client: KubernetesClient, *, namespace: str) -> bool:
    """True when editors are stamped, rules judge, approvers are proven and an operator leads.

    namespace: of operator and webhook.
    """
    checks: dict[str, Callable[[], Awaitable[str]]] = {
        "editors_are_stamped": partial(_stamped, client, namespace),
        "rules_judge": partial(_judged, client),
        "approvers_are_proven": partial(_proven, client, namespace),
        "an_operator_leads": partial(_led, client, namespace),
    }
    failed = False
    for name, check in checks.items():
        try:
            why = await check()
        except OperatorError as error:
            why = str(error)
        if why:
            failed = True
            log.error("check_failed", check=name, why=why)
        else:
            log.info("check_passed", check=name)
    return not failed


def _app(namespace: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "MicroApp",
        "metadata": {"name": "installation-check", "namespace": namespace},
        "spec": {
            "owner": {"team": "platform", "contact": "platform@example.com"},
            "riskTier": "low",
            "dataClassification": "public",
            "runtime": {"image": f"registry.example.com/check@sha256:{'0' * 64}"},
            **spec,
        },
    }


async def _stamped(client: KubernetesClient, namespace: str) -> str:
    body = _app(namespace)
    made = await client.write(Call("POST", MICRO_APP.collection(namespace), MICRO_APP.plural, _DRY, body))
    stamp = (made["metadata"].get("annotations") or {}).get(ANNOTATION_EDITORS)
    return "" if stamp else f"a MicroApp got no {ANNOTATION_EDITORS}: whoever edits it could approve it."


async def _judged(client: KubernetesClient) -> str:
    body = _app(_JUDGED, riskTier="installation-check-has-no-such-tier")
    call = Call("POST", MICRO_APP.collection(_JUDGED), MICRO_APP.plural, _DRY, body)
    return await _refused(client, call, "MA-TIR-001")


async def _proven(client: KubernetesClient, namespace: str) -> str:
    nobody = "0" * 64
    spec = {"microApp": "installation-check", "scope": "release", "replicas": 0, "tier": "low", "tierGeneration": 0}
    body = {
        "apiVersion": API_VERSION,
        "kind": "Approval",
        "metadata": {"name": "installation-check", "namespace": namespace},
        "spec": {**spec, "policyDigest": nobody, "fingerprint": nobody, "justification": "must be refused"},
    }
    call = Call("POST", _APPROVAL.collection(namespace), _APPROVAL.plural, _DRY, body)
    return await _refused(client, call, "MA-APR-002")


async def _refused(client: KubernetesClient, call: Call, rule: str) -> str:
    try:
        await client.write(call)
    except Blocked as error:
        return "" if rule in str(error) else f"it was refused for another reason than {rule}: {error}"
    return f"what {rule} forbids was let in."


async def _led(client: KubernetesClient, namespace: str) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/microapp-operator"
    try:
        spec = (await client.read(Call("GET", path, "leases"))).get("spec") or {}
    except Gone:
        return "there is no Lease: no operator has started."
    if not spec.get("holderIdentity"):
        return "nobody holds the Lease: no operator runs, or it is about to take over."
    age = datetime.now(UTC) - datetime.fromisoformat(spec["renewTime"])
    return "" if age < _FRESH else f"the Lease was renewed {age.total_seconds():.0f} s ago: its holder is gone."
