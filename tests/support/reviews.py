"""Admission reviews to send, a cluster to judge them by, and what every answer must be."""

import copy
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from hack.policy.cases import base

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.admission.enquiry import ClusterEnquirer
from microapp_operator.admission.facts import Rulebook
from microapp_operator.admission.feed import Feed
from microapp_operator.admission.judge import Judge
from microapp_operator.constants import (
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_CLASSIFICATION,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TENANT,
    LABEL_TIER,
)
from microapp_operator.errors import Gone
from microapp_operator.model import Approval, Manifest, parse
from microapp_operator.policy.context import Knowledge
from microapp_operator.policy.settings import PolicySettings
from tests.support.samples import tier_manifest

HOME = "ma-finance-expense-helper"
"""Namespace of the app that the rules' bases are about."""


def request_of(name: str, /, **fields: Any) -> dict[str, Any]:
    """The request of one of ``policies/bases``, to be changed freely; ``fields`` replace its own."""
    request: dict[str, Any] = copy.deepcopy(base(name)["request"])
    return request | fields


def review_of(request: Any) -> dict[str, Any]:
    """An AdmissionReview as the API server sends it."""
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def body_of(request: Any) -> bytes:
    """The same, as sent."""
    return json.dumps(review_of(request)).encode()


def violating_pod() -> dict[str, Any]:
    """A request for a pod on the node's network."""
    request = request_of("pod")
    request["object"]["spec"]["hostNetwork"] = True
    return request


def small_cluster() -> Knowledge:
    """Tiers, a tenant and its app: nothing a base of the rules refers to is missing."""
    known = Knowledge.under(PolicySettings(registries=("registry.example.com/",)))
    ranks = {"low": 10, "medium": 20, "high": 30}
    known.tiers.update({name: tier_manifest(name, rank=rank) for name, rank in ranks.items()})
    known.tenants["finance"] = {
        "metadata": {"name": "finance"},
        "spec": {"namespaces": ["finance"], "tiers": ["low", "medium"]},
    }
    known.namespaces[HOME] = {
        LABEL_APP_UID: "uid",
        LABEL_APP: "expense-helper",
        LABEL_TENANT: "finance",
        LABEL_TIER: "medium",
        LABEL_STAGE: "sandbox",
        LABEL_CLASSIFICATION: "internal",
        LABEL_PROFILE: "container",
    }
    known.apps["finance"] = {"expense-helper"}
    return known


@dataclass(frozen=True)
class Reply:
    """An AdmissionReview's response. code: 200 when it allows."""

    allowed: bool
    code: int
    message: str
    rules: frozenset[str]
    bundle: str


def read_reply(body: bytes, uid: str) -> Reply:
    """The answer to the review ``uid``; fails when the API server could not read it as one (admission.k8s.io/v1)."""
    document = json.loads(body)
    assert (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = document["response"]
    assert response["uid"] == uid
    assert isinstance(response["allowed"], bool)
    annotations = response.get("auditAnnotations", {})
    assert all(isinstance(value, str) for value in annotations.values())
    assert all(isinstance(line, str) for line in response.get("warnings", ()))
    if response["allowed"]:
        assert "status" not in response
        return Reply(True, 200, "", frozenset(), annotations.get("bundle", ""))
    status = response["status"]
    details = status.get("details", {"name": "", "kind": "", "causes": []})
    assert all(isinstance(details[name], str) for name in ("name", "kind"))
    for cause in details["causes"]:
        assert {name: type(value) for name, value in cause.items()} == {"reason": str, "field": str, "message": str}
    assert status["message"]
    assert status["code"] in (403, 500)
    rules = frozenset(cause["reason"] for cause in details["causes"])
    assert bool(rules) == (status["code"] == 403)
    return Reply(False, status["code"], status["message"], rules, annotations.get("bundle", ""))


class OneApp:
    """A client of an API server that holds the app of the bases and nothing else, and entitles nobody."""

    async def read(self, call: Call) -> Manifest:
        """The app, 404, or a no."""
        if call.path.endswith("/namespaces/finance/microapps/expense-helper"):
            app = request_of("microapp")["object"]
            app["metadata"] |= {"uid": "uid", "generation": 1, "resourceVersion": "1"}
            return cast(Manifest, app)
        if call.verb == "GET":
            raise Gone(call.path)
        return {"status": {"allowed": False}}


def exception_for(kind: str, name: str, rule: str) -> Approval:
    """An approved exception of the app, for one object."""
    raw = request_of("approval_exception")["object"]
    raw["spec"] |= {"policyDigest": "d" * 64, "fingerprint": "f" * 64}
    raw["spec"]["exception"] |= {"rule": rule, "object": {"kind": kind, "name": name}}
    raw["metadata"] |= {"uid": "uid", "generation": 1, "resourceVersion": "1"}
    return parse(Approval, raw)


class Unwatched(Feed):
    """A feed that is told what there is."""

    def __init__(self, known: Knowledge, *exceptions: Approval) -> None:
        super().__init__(cast(KubernetesClient, OneApp()), known)
        self._approvals = exceptions

    def exceptions(self, namespace: str) -> tuple[Approval, ...]:
        """All that were given, for any namespace."""
        return tuple(a for a in self._approvals if a.metadata.namespace == namespace)


class Fixed:
    """``ports.Clock`` that stands."""

    def now(self) -> datetime:
        """The one time there is."""
        return datetime(2026, 1, 1, tzinfo=UTC)


def small_court(engine: RegoEngine, known: Knowledge, *exceptions: Approval, threads: int = 2) -> Judge:
    """The judge of ``known``, with the enquirer of a real cluster behind it."""
    feed = Unwatched(known, *exceptions)
    settings = PolicySettings(registries=("registry.example.com/",))

    def book() -> Rulebook:
        return Rulebook(engine.digest, engine.rules, settings)

    client = cast(KubernetesClient, OneApp())
    return Judge(engine, known, ClusterEnquirer(client, feed, book, Fixed()), threads=threads)
