"""Laws of the judge: every body gets an answer, and nothing turns a violation into an allow but its removal."""

import asyncio
import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import jsonpatch
import orjson
import pytest
from hack.policy.cases import bases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.mutation import Path, junk, mutated
from tests.support.reviews import (
    HOME,
    body_of,
    exception_for,
    read_reply,
    request_of,
    review_of,
    small_cluster,
    small_court,
)

from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.admission.judge import Answer, Judge
from microapp_operator.constants import LABEL_STAGE

LAWS = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
IDENTITY: tuple[Path, ...] = tuple((name,) for name in ("uid", "operation", "kind", "subResource", "namespace"))
"""What a request is about: another question has another answer."""


@pytest.fixture(scope="module")
def court() -> Judge:
    known = small_cluster()
    known.namespaces[HOME] = {**known.namespaces[HOME], LABEL_STAGE: "production"}
    exceptions = (exception_for(kind, "other", "MA-IMG-002") for kind in ("Pod", "MicroApp"))
    return small_court(RegoEngine(packaged_bundle()), known, *exceptions)


@pytest.fixture(scope="module")
def ask(court: Judge) -> Callable[[bytes], Answer]:
    return lambda body: asyncio.run(court.answer(body))


@pytest.fixture(scope="module")
def stamp(court: Judge) -> Callable[[bytes], Answer]:
    return lambda body: asyncio.run(court.stamp(body))


def check(answer: Answer, body: bytes) -> None:
    """The API server can do something with it."""
    if answer.status == 400:
        assert answer.body.decode().strip()
    else:
        assert answer.status == 200
        read_reply(answer.body, orjson.loads(body)["request"]["uid"])


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


@LAWS
@given(st.sampled_from(bases()).flatmap(lambda name: mutated(review_of(request_of(name)))))
def test_every_mutated_review_is_answered(ask: Callable[[bytes], Answer], review: Any) -> None:
    body = encoded(review)
    check(ask(body), body)


STAMPED = st.sampled_from(("microapp", "microapp_update", "approval", "approval_exception", "pod"))


@LAWS
@given(STAMPED.flatmap(lambda name: mutated(review_of(request_of(name)))))
def test_every_stamp_on_a_mutated_review_can_be_applied(stamp: Callable[[bytes], Answer], review: Any) -> None:
    body = encoded(review)
    answer = stamp(body)
    check(answer, body)
    subject = json.loads(body).get("request", {}).get("object") if answer.status == 200 else None
    if subject and all(isinstance(subject.get(part), dict) for part in ("metadata", "spec")):
        patch = json.loads(base64.b64decode(json.loads(answer.body)["response"].get("patch", "W10=")))
        jsonpatch.apply_patch(subject, patch)


@LAWS
@given(st.sampled_from(bases()), st.sampled_from(("object", "oldObject", "userInfo")), junk)
def test_a_request_with_anything_inside_is_answered(
    ask: Callable[[bytes], Answer], name: str, field: str, value: Any
) -> None:
    body = encoded(review_of(request_of(name, **{field: value})))
    check(ask(body), body)


@LAWS
@given(st.sampled_from(bases()), st.integers(0, 3000), st.integers(0, 20), st.binary(max_size=10))
def test_every_damaged_body_is_answered(
    ask: Callable[[bytes], Answer], name: str, start: int, length: int, noise: bytes
) -> None:
    whole = body_of(request_of(name))
    body = whole[:start] + noise + whole[start + length :]
    check(ask(body), body)


def violation(base: str, value: Any, *place: str | int) -> tuple[dict[str, Any], Path]:
    """A request in which ``value`` stands at ``place`` of the object, and that place."""
    request = request_of(base)
    *way, last = place
    parent = request["object"]
    for key in way:
        parent = parent[key] if isinstance(parent, list) else parent.setdefault(str(key), {})
    parent[last] = value
    return request, ("object", *place)


POD = ("spec",)
TEMPLATE = ("spec", "template", "spec")
CRON = ("spec", "jobTemplate", "spec", "template", "spec")
EVERYBODY = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}
HOST_PATH = {"name": "tmp", "hostPath": {"path": "/"}}
VIOLATIONS = {
    "MA-PSS-001": violation("pod", True, *POD, "containers", 0, "securityContext", "privileged"),
    "MA-PSS-002": violation("pod", True, *POD, "hostNetwork"),
    "MA-PSS-002 in a Deployment": violation("deployment", True, *TEMPLATE, "hostPID"),
    "MA-PSS-002 in a CronJob": violation("cron_job", True, *CRON, "hostIPC"),
    "MA-PSS-003": violation("pod", HOST_PATH, *POD, "volumes", 0),
    "MA-IMG-001": violation("pod", "registry.example.com/finance/expense-helper:1", *POD, "containers", 0, "image"),
    "MA-IMG-002": violation("pod", f"evil.example.org/x@sha256:{'a' * 64}", *POD, "containers", 0, "image"),
    "MA-SVC-001": violation("service", "NodePort", "spec", "type"),
    "MA-TEN-004": violation("role_binding", EVERYBODY, "subjects", 0),
}


@pytest.mark.parametrize("name", VIOLATIONS)
@LAWS
@given(data=st.data())
def test_a_violation_stays_one_whatever_else_changes(
    ask: Callable[[bytes], Answer], name: str, data: st.DataObject
) -> None:
    request, place = VIOLATIONS[name]
    before = copy.deepcopy(request)
    answer = ask(encoded(review_of(data.draw(mutated(request, (*IDENTITY, place))))))
    assert request == before
    if answer.status == 200:
        reply = read_reply(answer.body, request["uid"])
        assert not reply.allowed
        assert reply.code == 500 or name[:10] in reply.rules


def test_the_requests_the_law_starts_from_are_denied_by_their_rule(ask: Callable[[bytes], Answer]) -> None:
    for name, (request, _) in VIOLATIONS.items():
        assert name[:10] in read_reply(ask(body_of(request)).body, request["uid"]).rules
