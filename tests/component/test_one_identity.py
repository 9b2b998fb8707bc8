"""The law of approvals: whatever one person does, under whatever account, nothing becomes approved by it.

On a real API server, with the stamps and the proof in force and the webhook absent: less can't stand in their way.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hack.approve import REVIEWERS
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.samples import app_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microapp_operator.constants import ANNOTATION_EDITORS
from microapp_operator.gates import ApprovalVerdict, GateInput, compute_fingerprint, evaluate_approvals
from microapp_operator.model import Approval, MicroApp, RiskTier, parse
from microapp_operator.policy.identity import stamp_editors
from microapp_operator.policy.settings import PolicySettings
from tests.support.api import Account, Api
from tests.support.samples import POLICY

NAME = "mine"
PERSON = {"microapps.dev/person": ["mallory@example.com"]}
GROUPS = ("tenants", REVIEWERS)
MALLORY = Account("mallory@example.com", "1", GROUPS, PERSON)
TWIN = Account("mallory-admin", "2", GROUPS, PERSON)
OTHER = Account("MALLORY@example.com", "3", GROUPS)
BOB = Account("bob@example.com", "9", GROUPS)
MERGE = "application/merge-patch+json"
EDITS = st.sampled_from(
    [
        {"runtime": {"port": 9000}},
        {"runtime": {"port": 8080}},
        {"runtime": {"env": [{"name": "A", "value": "b"}, {"name": "B", "value": "c"}]}},
        {"runtime": {"env": [{"name": "B", "value": "c"}, {"name": "A", "value": "b"}]}},
        {"runtime": {"replicas": 2}},
        {"description": "harmless"},
        {"owner": {"contact": "nobody@example.com"}},
        {"stage": "sandbox"},
        {"stage": "production"},
    ]
)
FORGED = st.sampled_from(["", None, "user:bob@example.com", "user:mallory@example.com"])
SPECS = st.sampled_from(
    [
        {},
        {"decision": "Denied"},
        {"approver": "bob@example.com"},
        {"approverIdentities": ["user:bob@example.com"]},
        {"approverGroups": ["security"]},
        {"fingerprint": "0" * 64},
        {"tier": "low"},
    ]
)
STEPS = st.one_of(
    st.just(("create", None)),
    st.just(("remove", None)),
    st.just(("withdraw", None)),
    st.just(("report", None)),
    st.tuples(st.just("edit"), EDITS),
    st.tuples(st.just("stamp"), FORGED),
    st.tuples(st.just("approve"), SPECS),
)


class World:
    """One namespace, and the state of things in it."""

    def __init__(self, api: Api, namespace: str, tier: RiskTier) -> None:
        self.api, self.namespace, self.tier = api, namespace, tier
        self.base = f"/apis/microapps.dev/v1alpha1/namespaces/{namespace}"
        self.path = f"{self.base}/microapps/{NAME}"

    def app(self) -> dict[str, Any] | None:
        code, found = self.api("GET", self.path)
        return found if code == 200 else None

    def verdict(self) -> ApprovalVerdict | None:
        """As the operator judges it."""
        raw = self.app()
        if raw is None:
            return None
        approvals = [parse(Approval, a) for a in self.api("GET", f"{self.base}/approvals")[1]["items"]]
        gate = GateInput(parse(MicroApp, raw), self.tier, approvals, PolicySettings(), POLICY)
        return evaluate_approvals(gate, datetime.now(UTC))

    def observe(self) -> None:
        """Write what the operator would."""
        raw, verdict = self.app(), self.verdict()
        if raw is None or verdict is None:
            return
        fingerprint = compute_fingerprint(parse(MicroApp, raw))
        status = {"observedGeneration": raw["metadata"]["generation"], "fingerprint": fingerprint}
        status |= {"reviewedFingerprint": fingerprint} if verdict.reviewed else {}
        code, _ = self.api("PATCH", f"{self.path}/status", {"status": status}, kind=MERGE)
        assert code == 200

    def write(self, account: Account, verb: str, path: str, body: Any) -> int:
        """Write the MicroApp, and hold the stamp to the function that also serves older API servers."""
        old = self.app()
        kind = MERGE if verb == "PATCH" else "application/json"
        code, new = self.api(verb, path, body, account=account, kind=kind)
        if code < 300:
            stamp = stamp_editors({"userInfo": account.user_info(), "oldObject": old, "object": new})
            assert new["metadata"]["annotations"][ANNOTATION_EDITORS] == "\n".join(stamp)
        return code

    def do(self, account: Account, step: str, detail: Any) -> None:
        match step:
            case "create":
                manifest = app_manifest(NAME, self.namespace, riskTier="medium", stage="production")
                self.write(account, "POST", f"{self.base}/microapps", manifest)
            case "remove":
                self.api("DELETE", self.path, account=account)
            case "withdraw":
                for each in self.api("GET", f"{self.base}/approvals")[1]["items"]:
                    self.api("DELETE", f"{self.base}/approvals/{each['metadata']['name']}", account=account)
            case "report":
                forged = {"status": {"reviewedFingerprint": "0" * 64, "fingerprint": "0" * 64}}
                assert self.api("PATCH", f"{self.path}/status", forged, account=account, kind=MERGE)[0] in (403, 404)
            case "edit":
                self.write(account, "PATCH", self.path, {"spec": detail})
            case "stamp":
                self.write(account, "PATCH", self.path, {"metadata": {"annotations": {ANNOTATION_EDITORS: detail}}})
            case "approve":
                self.approve(account, detail)

    def approve(self, account: Account, spec: dict[str, Any]) -> int:
        raw = self.app()
        fingerprint = compute_fingerprint(parse(MicroApp, raw)) if raw else "0" * 64
        body = {
            "apiVersion": "microapps.dev/v1alpha1",
            "kind": "Approval",
            "metadata": {"name": f"a{uuid.uuid4().hex[:8]}", "namespace": self.namespace},
            "spec": {
                "microApp": NAME,
                "scope": "release",
                "replicas": 100,
                "tier": "medium",
                "tierGeneration": 1,
                "policyDigest": POLICY,
                "fingerprint": fingerprint,
                "justification": "mine",
                **spec,
            },
        }
        return self.api("POST", f"{self.base}/approvals", body, account=account)[0]

    def reset(self) -> None:
        for kind in ("microapps", "approvals"):
            assert self.api("DELETE", f"{self.base}/{kind}")[0] == 200


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, cluster: Cluster, installed: None) -> Iterator[World]:  # noqa: ARG001
    namespace = f"t{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    bind: Callable[..., str] = kubectl
    bind("create", "rolebinding", "tenants", "--clusterrole=microapps-edit", "--group=tenants", "-n", namespace)
    tier = parse(RiskTier, json.loads(kubectl("get", "risktier", "medium", "-o", "json")))
    api = Api(cluster)
    yield World(api, namespace, tier)
    api.close()
    kubectl("delete", "namespace", namespace, "--wait=false")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([MALLORY, TWIN, OTHER]), STEPS), min_size=1, max_size=12))
def test_no_sequence_of_one_person_ends_in_an_approval(
    world: World, steps: list[tuple[Account, tuple[str, Any]]]
) -> None:
    world.reset()
    world.do(MALLORY, "create", None)
    for account, (step, detail) in steps:
        world.do(account, step, detail)
        world.observe()
        verdict = world.verdict()
        assert verdict is None or verdict.production or not verdict.required
        assert verdict is None or not verdict.reviewed


def test_the_same_takes_one_other_person(world: World) -> None:
    """So the law above doesn't hold only because nothing can be approved at all."""
    world.reset()
    world.do(MALLORY, "create", None)
    world.do(TWIN, "edit", {"runtime": {"port": 9000}})
    assert world.approve(BOB, {}) == 201
    verdict = world.verdict()
    assert verdict is not None
    assert verdict.reviewed
    assert not verdict.production
