"""What a review needs to know that isn't watched: asked of the API server when such a review comes, so never stale."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.adapters.kubernetes.kinds import MICRO_APP
from microapp_operator.admission.facts import Rulebook, build_approval_facts, build_exception_facts
from microapp_operator.admission.feed import Feed
from microapp_operator.constants import GROUP, VERB_SKIP_CLEANUP
from microapp_operator.errors import Gone
from microapp_operator.gates import GateInput, build_subject, resolve_exceptions
from microapp_operator.model import Approval, Manifest, MicroApp, RiskTier, parse
from microapp_operator.policy.context import resolve_app
from microapp_operator.policy.identity import resolve_skip, stamp_editors
from microapp_operator.policy.review import Review
from microapp_operator.ports import Clock

_ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_WRITES = ("CREATE", "UPDATE")


class Enquirer(Protocol):
    """Finds out what the rules have to be told about one review."""

    async def about(self, review: Review) -> Manifest:
        """More context for the rules; errors of ``ports`` when it can't be had."""

    async def suspended(self, review: Review) -> frozenset[str]:
        """Ids of the rules that approved exceptions suspend for the object under review."""


class ClusterEnquirer:
    """``Enquirer`` of the cluster. book: the rules in force now."""

    def __init__(self, client: KubernetesClient, feed: Feed, book: Callable[[], Rulebook], clock: Clock) -> None:
        self._client, self._feed, self._book, self._clock = client, feed, book, clock

    async def about(self, review: Review) -> Manifest:
        """For a MicroApp the stamps and who may let secrets be; for an Approval who asks, of which app, what fits."""
        await self._feed.ensure_namespace(review.namespace)
        if review.group == "MicroApp":
            editors = "\n".join(stamp_editors(review.request))
            return {"editors": editors, "cleanup": await self._cleanup(review.request)}
        if review.group == "Approval" and review.request["operation"] == "CREATE":
            return {"approval": await self._approval(review)}
        return {}

    async def suspended(self, review: Review) -> frozenset[str]:
        """By the exceptions of the MicroApp under review, or of the one whose namespace it is."""
        manifest = review.request.get("object")
        if review.request["operation"] not in _WRITES or not manifest:
            return frozenset()
        namespace, name = resolve_app(review, self._feed.known)
        approvals = [a for a in self._feed.exceptions(namespace) if a.spec.micro_app == name]
        app = await self._judged(review, namespace, name) if approvals else None
        tier = self._feed.known.tiers.get(app.spec.risk_tier) if app else None
        if app is None or tier is None:
            return frozenset()
        book = self._book()
        gate = GateInput(app, parse(RiskTier, tier), approvals, book.settings, book.digest)
        subject = build_subject({**manifest, "kind": review.kind})
        return resolve_exceptions(gate, subject, self._clock.now())

    async def _judged(self, review: Review, namespace: str, name: str) -> MicroApp | None:
        if review.kind == "MicroApp":
            return parse(MicroApp, review.request["object"])
        return await self._app(namespace, name)

    async def _approval(self, review: Review) -> Manifest:
        user, book = review.request["userInfo"], self._book()
        approval = parse(Approval, review.request["object"] or {})
        app = await self._app(review.namespace, approval.spec.micro_app)
        facts = build_approval_facts(user, approval, app, self._feed.known.tiers, book)
        return {
            **facts,
            "exception": build_exception_facts(approval, book.rules, self._clock.now()),
            "entitled": await self._allowed(user, resource="risktiers", verb="approve", name=approval.spec.tier),
        }

    async def _cleanup(self, request: Mapping[str, Any]) -> Manifest:
        """The right is asked for where a reason is new, and in no namespace: a tenant's own gives it to nobody."""
        why, stamp = resolve_skip(request)
        user = request["userInfo"]
        return {
            "by": stamp,
            "entitled": bool(why) and await self._allowed(user, resource="microapps", verb=VERB_SKIP_CLEANUP),
        }

    async def _app(self, namespace: str, name: str) -> MicroApp | None:
        path = f"{MICRO_APP.collection(quote(namespace, safe=''))}/{quote(name, safe='')}"
        try:
            return parse(MicroApp, await self._client.read(Call("GET", path, MICRO_APP.plural)))
        except Gone:
            return None

    async def _allowed(self, user: Mapping[str, Any], **attributes: str) -> bool:
        """Whether RBAC lets ``user`` do that to one of our kinds (authorization.k8s.io/v1 SubjectAccessReview)."""
        who = {
            "user": user.get("username") or "",
            "uid": user.get("uid") or "",
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {**who, "resourceAttributes": {"group": GROUP, **attributes}},
        }
        answer = await self._client.read(Call("POST", _ACCESS, "subjectaccessreviews", body=body))
        return bool(answer.get("status", {}).get("allowed"))
