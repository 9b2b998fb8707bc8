"""What is taken for an AdmissionReview, and how the answer reads."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.reviews import body_of, read_reply, request_of, review_of, violating_pod

from microapp_operator.errors import InvalidSpec
from microapp_operator.policy.catalogue import Rule, Severity
from microapp_operator.policy.review import Review, build_refusal, build_response, parse_review
from microapp_operator.policy.verdict import Verdict, Violation

DIGEST = "e" * 64


def violation(rule: str = "MA-TST-001", path: str = "spec.x", **values: Any) -> Violation:
    text = {"title": "t", "what": "{name} is wrong.", "why": "it leaks.", "fix": "Rename {name}.", "docs": "d#x"}
    return Violation(Rule(id=rule, severity=Severity.HIGH, tiers=("low",), **text), path, {"name": "n", **values})


def response(verdict: Verdict, **fields: Any) -> dict[str, Any]:
    review = parse_review(body_of(request_of("pod", **fields)))
    answer: dict[str, Any] = json.loads(build_response(review, verdict, DIGEST))["response"]
    return answer


def without(name: str) -> dict[str, Any]:
    request = request_of("pod")
    del request[name]
    return request


def user(**fields: Any) -> dict[str, Any]:
    return request_of("pod", userInfo={"username": "alice", **fields})


MALFORMED: dict[str, tuple[dict[str, Any] | list[Any], str]] = {
    "no object": ([], "kind"),
    "another kind": ({**review_of(request_of("pod")), "kind": "TokenReview"}, "kind"),
    "an old version": ({**review_of(request_of("pod")), "apiVersion": "admission.k8s.io/v1beta1"}, "apiVersion"),
    "no version": ({"kind": "AdmissionReview", "request": request_of("pod")}, "apiVersion"),
    "no request": (review_of(None), "request"),
    "a request that is a list": (review_of([request_of("pod")]), "request"),
    "no uid": (review_of(without("uid")), "request.uid"),
    "an empty uid": (review_of(request_of("pod", uid="")), "request.uid"),
    "a number as uid": (review_of(request_of("pod", uid=5)), "request.uid"),
    "no operation": (review_of(without("operation")), "request.operation"),
    "an unknown operation": (review_of(request_of("pod", operation="PATCH")), "request.operation"),
    "an operation in lower case": (review_of(request_of("pod", operation="create")), "request.operation"),
    "no user": (review_of(without("userInfo")), "request.userInfo"),
    "a user that is a text": (review_of(request_of("pod", userInfo="alice")), "request.userInfo"),
    "a user name that is a list": (review_of(user(username=["alice"])), "request.userInfo.username"),
    "groups that are a text": (review_of(user(groups="system:masters")), "request.userInfo.groups"),
    "a group that is no text": (review_of(user(groups=["a", {"b": 1}])), "request.userInfo.groups"),
    "an extra that is a text": (review_of(user(extra={"a/b": "c"})), "request.userInfo.extra.a/b"),
    "an extra of numbers": (review_of(user(extra={"a/b": [1]})), "request.userInfo.extra.a/b"),
    "no kind": (review_of(without("kind")), "request.kind"),
    "a kind that is a text": (review_of(request_of("pod", kind="Pod")), "request.kind"),
    "a kind without its name": (review_of(request_of("pod", kind={"version": "v1"})), "request.kind.kind"),
    "a kind with a list as name": (review_of(request_of("pod", kind={"kind": ["Pod"]})), "request.kind.kind"),
    "a name that is an object": (review_of(request_of("pod", name={"a": 1})), "request.name"),
    "a subresource that is a list": (review_of(request_of("pod", subResource=["status"])), "request.subResource"),
    "a namespace that is a number": (review_of(request_of("pod", namespace=1)), "request.namespace"),
    "an object that is a list": (review_of(request_of("pod", object=[{}])), "request.object"),
    "an object that is false": (review_of(request_of("pod", object=False)), "request.object"),
    "an old object that is a text": (review_of(request_of("pod", oldObject="{}")), "request.oldObject"),
    "metadata that is a list": (review_of(request_of("pod", object={"metadata": []})), "request.object.metadata"),
    "labels that are a list": (
        review_of(request_of("pod", oldObject={"metadata": {"labels": ["a"]}})),
        "request.oldObject.metadata.labels",
    ),
    "an annotation that is a number": (
        review_of(request_of("pod", object={"metadata": {"annotations": {"a": 1}}})),
        "request.object.metadata.annotations",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_the_field_at_fault_is_named(case: str) -> None:
    document, path = MALFORMED[case]
    with pytest.raises(InvalidSpec) as refused:
        parse_review(json.dumps(document).encode())
    assert refused.value.finding.path == path
    assert refused.value.finding.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b'{"kind": "AdmissionReview"} {}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xc3\x28"}',
        b"\x00",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(InvalidSpec, match="no JSON"):
        parse_review(body)


@pytest.mark.parametrize(
    "name", ["kube-system/pods/x", "../secrets", "a?watch=true", "a%2Fb", "Finance", "finance\n", "-a", "a" * 64]
)
def test_a_namespace_cannot_smuggle_another_address_to_the_api_server(name: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        parse_review(body_of(request_of("pod", namespace=name)))
    assert refused.value.finding.path == "request.namespace"


def test_a_complaint_quotes_no_more_than_a_line() -> None:
    with pytest.raises(InvalidSpec) as refused:
        parse_review(body_of(request_of("pod", namespace="x" * 100_000)))
    assert len(refused.value.finding.message) < 200


@pytest.mark.parametrize("empty", [{}, {"name": None, "namespace": None, "subResource": None}, {"namespace": ""}])
def test_cluster_wide_objects_and_bare_users_are_taken(empty: dict[str, Any]) -> None:
    request = {
        **without("namespace"),
        **empty,
        "oldObject": None,
        "userInfo": {"groups": None, "extra": None, "uid": ""},
    }
    review = parse_review(body_of(request))
    assert (review.namespace, review.kind, review.group) == ("", "Pod", "Pod")


@pytest.mark.parametrize(
    ("change", "group"),
    [
        ({}, "Pod"),
        ({"subResource": "ephemeralcontainers"}, "Pod"),
        ({"subResource": "status"}, "Other"),
        ({"operation": "DELETE"}, "Other"),
        ({"kind": {"kind": "CronJob"}}, "Pod"),
        ({"kind": {"kind": "PodExecOptions"}, "operation": "CONNECT"}, "Exec"),
        ({"kind": {"kind": "NeverHeardOf"}}, "Other"),
        ({"kind": {"kind": "Other"}}, "Other"),
    ],
)
def test_kind_and_subresource_choose_the_rules(change: dict[str, Any], group: str) -> None:
    assert parse_review(body_of(request_of("pod", **change))).group == group


def test_managed_fields_are_dropped_and_nothing_else() -> None:
    whole = {"metadata": {"name": "a", "labels": {"b": "c"}, "managedFields": [{"manager": "m"}]}, "spec": {"d": [1]}}
    review = parse_review(body_of(request_of("pod", object=whole, oldObject=whole)))
    lean = {"metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"d": [1]}}
    assert (review.request["object"], review.request["oldObject"]) == (lean, lean)


def test_a_field_given_twice_counts_as_the_api_server_reads_it() -> None:
    body = body_of(violating_pod()).replace(b'"hostNetwork": true', b'"hostNetwork": false, "hostNetwork": true')
    assert parse_review(body).request["object"]["spec"]["hostNetwork"] is True


def test_a_denial_holds_every_violation_with_code_and_causes() -> None:
    denied = (violation("MA-TST-002", "spec.b"), violation("MA-TST-001", "spec.a"), violation("MA-TST-001", ""))
    answer = response(Verdict(denied=denied, warned=(violation("MA-TST-003"),)))
    status = answer["status"]
    assert answer["allowed"] is False
    assert (status["code"], status["reason"], status["status"]) == (403, "Forbidden", "Failure")
    assert (status["details"]["kind"], status["details"]["name"]) == ("Pod", request_of("pod")["name"])
    causes = [(c["reason"], c["field"]) for c in status["details"]["causes"]]
    assert causes == [("MA-TST-002", "spec.b"), ("MA-TST-001", "spec.a"), ("MA-TST-001", "")]
    assert status["message"].splitlines() == [c["message"] for c in status["details"]["causes"]]
    assert status["message"].splitlines()[0] == (
        "[MA-TST-002] spec.b: n is wrong. Why: it leaks. Fix: Rename n. Docs: d#x"
    )
    assert answer["warnings"] == ["[MA-TST-003] spec.x: n is wrong."]


def test_the_audit_log_learns_of_rules_and_bundle() -> None:
    verdict = Verdict(
        denied=(violation("MA-TST-002"), violation("MA-TST-001"), violation("MA-TST-002", "spec.y")),
        warned=(violation("MA-TST-003"),),
        suspended=(violation("MA-TST-004"),),
    )
    assert response(verdict)["auditAnnotations"] == {
        "bundle": DIGEST,
        "denied": "MA-TST-001,MA-TST-002",
        "warned": "MA-TST-003",
        "excepted": "MA-TST-004",
    }


def test_what_is_suspended_or_warned_of_is_allowed() -> None:
    answer = response(Verdict(warned=(violation(),), suspended=(violation("MA-TST-004"),)))
    assert answer["allowed"] is True
    assert "status" not in answer
    assert answer["warnings"] == ["[MA-TST-001] spec.x: n is wrong."]
    assert response(Verdict())["auditAnnotations"] == {"bundle": DIGEST}


def test_an_object_without_a_name_yet_is_answered() -> None:
    for name in (None, ""):
        assert response(Verdict(denied=(violation(),)), name=name)["status"]["details"]["name"] == ""


def test_thousands_of_violations_make_no_answer_of_megabytes() -> None:
    many = tuple(violation("MA-TST-001", f"spec.containers[{n}]") for n in range(20_000))
    answer = response(Verdict(denied=(*many, violation("MA-TST-002"))))
    status = answer["status"]
    assert len(json.dumps(answer)) < 200_000
    assert {cause["reason"] for cause in status["details"]["causes"]} == {"MA-TST-001", "MA-TST-002"}
    quoted = status["message"].splitlines()
    assert quoted[-1] == f"And {20_001 - len(quoted[:-1])} more violations of the same rules."
    assert len(quoted[:-1]) == len(status["details"]["causes"]) == len(set(quoted[:-1]))
    assert answer["auditAnnotations"]["denied"] == "MA-TST-001,MA-TST-002"


@pytest.mark.parametrize(
    "answer",
    [lambda r: build_refusal(r.uid, "no answer."), lambda r: build_response(r, Verdict((violation(),)), DIGEST)],
)
def test_refusals_can_be_read_by_the_api_server(answer: Callable[[Review], bytes]) -> None:
    review = parse_review(body_of(request_of("pod", uid="a-uid")))
    assert not read_reply(answer(review), "a-uid").allowed


def test_a_question_that_could_not_be_judged_is_refused_as_a_fault_of_ours() -> None:
    reply = read_reply(build_refusal("a-uid", "the policies gave no answer."), "a-uid")
    assert (reply.allowed, reply.code, reply.message) == (False, 500, "the policies gave no answer.")
