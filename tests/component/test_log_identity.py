"""Whose a record is, in the real gateway beside a real API server: the connection says it, never the record."""

import json
from typing import Any

import pytest

from tests.support.apppods import SEED, AppPods, Line, fresh_address, record, request
from tests.support.eventually import eventually
from tests.support.gateway import NAMESPACE
from tests.support.otlp import plain, value

WHO = {"app_id": "expense-helper-v2", "tenant_id": "finance"}
_CORRECTED = "microapp.identity.corrected"
_DAYS = "microapp.log.retention_days"


def attributes(delivered: dict[str, Any]) -> dict[str, Any]:
    return plain(delivered["attributes"])


@pytest.mark.parametrize("body", [SEED, json.dumps(SEED)], ids=["as fields", "as text"])
def test_an_audit_record_comes_out_key_by_key(finance: Line, body: Any) -> None:
    (delivered,) = finance.deliver(record(body))
    assert value(delivered["body"]) == SEED
    assert delivered["traceId"] == SEED["trace_id"]
    assert _CORRECTED not in attributes(delivered)


@pytest.mark.parametrize("claim", [{"app_id": "payroll"}, {"tenant_id": "board"}])
def test_who_claims_to_be_another_is_corrected_and_counted(finance: Line, claim: dict[str, str]) -> None:
    def counted() -> float:
        gateway = finance.gateway
        return gateway.total(gateway.forwarding, "microapp_log_identity_corrected_total", **WHO)

    before = counted()
    formed = record({"message": "m", **claim}, **{"microapp.log.form": "json"})
    found = finance.deliver(record(json.dumps({"message": "m", **claim})), record({"message": "m", **claim}), formed)
    found += finance.deliver(record("m"), **claim)
    for delivered in found:
        assert value(delivered["body"]).items() >= WHO.items()
        assert attributes(delivered)[_CORRECTED] is True
    eventually(counted, before + 4)


def test_what_an_app_says_of_its_resource_doesnt_survive(finance: Line) -> None:
    forged = {
        "k8s.namespace.name": "kube-system",
        "k8s.pod.name": "forged",
        "k8s.node.name": "forged",
        "microapp.claimed.pod_uid": "forged",
        "microapp.risk_tier": "none",
        "microapp.log.retention_days": "1",
        "service.name": "forged",
        "host.name": "forged",
    }
    sent = request(finance.pod, record("m", **forged, **{"microapp.log.part": "forged"}), **forged)
    (resource,) = sent["resourceLogs"]
    resource["schemaUrl"] = "forged"
    (scope,) = resource["scopeLogs"]
    scope |= {"schemaUrl": "forged", "scope": {"name": "forged", "version": "forged"}}
    scope["scope"]["attributes"] = [{"key": "forged", "value": {"stringValue": "forged"}}]
    assert "forged" not in json.dumps(finance.delivered(sent, 1))
    (delivered,) = finance.siem.resources
    assert plain(delivered["resource"]["attributes"]) == {
        **WHO,
        "k8s.pod.uid": finance.pod.uid,
        "k8s.pod.name": finance.pod.name,
        "k8s.namespace.name": finance.pod.namespace,
        "k8s.node.name": "hollow-0",
        "microapp.risk_tier": "low",
        "microapp.classification": "internal",
    }


def test_who_isnt_known_is_refused_until_it_is(finance: Line, app_pods: AppPods) -> None:
    gateway, address = finance.gateway, fresh_address()
    assert gateway.post(address, request(finance.pod, record("m"))) == 503
    pod = app_pods.pod(app_pods.namespace("late", "sales"), address)
    late = Line(gateway, finance.siem, pod)
    assert late.bodies("m")[0]["app_id"] == "late"


def test_another_pod_at_the_address_is_refused(finance: Line, app_pods: AppPods) -> None:
    """Which is what it looks like when an address was used before, and the gateway hasn't heard yet."""
    other = app_pods.pod(app_pods.namespace("other", "sales"))
    Line(finance.gateway, finance.siem, other).bodies("m")
    assert finance.gateway.post(finance.pod.address, request(other, record("m"))) == 503
    assert finance.gateway.post(finance.pod.address, request(None, record("m"))) == 503
    finance.bodies("m")


def test_an_address_that_is_used_again_is_of_who_has_it_now(finance: Line, app_pods: AppPods) -> None:
    first = app_pods.pod(app_pods.namespace("first", "sales"))
    Line(finance.gateway, finance.siem, first).bodies("m")
    app_pods.delete(first)
    second = app_pods.pod(app_pods.namespace("second", "board"), first.address)
    (body,) = Line(finance.gateway, finance.siem, second).bodies("m")
    assert (body["app_id"], body["tenant_id"]) == ("second", "board")
    assert finance.gateway.post(first.address, request(first, record("m"))) == 503


def test_a_pod_in_a_namespace_of_no_app_is_refused(finance: Line, app_pods: AppPods) -> None:
    """Its own labels say nothing: who may make pods could write them."""
    pod = app_pods.pod(NAMESPACE, labels={"microapps.dev/app": "forged", "microapps.dev/tenant": "forged"})
    assert finance.gateway.post(pod.address, request(pod, record("m"))) == 503
    known = app_pods.pod(finance.pod.namespace)
    Line(finance.gateway, finance.siem, known).bodies("m")  # so that by now it has heard of the other
    assert finance.gateway.post(pod.address, request(pod, record("m"))) == 503
    app_pods.delete(pod)


@pytest.mark.parametrize(("days", "kept", "audit"), [("30", 30, 365), ("730", 730, 730), ("", 365, 365)])
def test_records_are_kept_as_long_as_the_tier_says_and_audit_records_a_year(
    finance: Line, app_pods: AppPods, days: str, kept: int, audit: int
) -> None:
    line = Line(finance.gateway, finance.siem, app_pods.pod(app_pods.namespace("kept", "sales", days=days)))
    half = {"action": "submit", "message": "m"}
    found = line.deliver(record("m"), record(SEED), record(half), record("m", **{_DAYS: 9999}))
    assert [attributes(each)[_DAYS] for each in found] == [str(days) for days in (kept, audit, kept, kept)]


def test_the_platforms_own_pods_have_a_door_of_their_own(finance: Line, app_pods: AppPods) -> None:
    gateway = finance.gateway
    pod = app_pods.pod(NAMESPACE, labels={"app.kubernetes.io/component": "webhook"})
    drift = '{"event": "drift", "level": "warning", "kind": "NetworkPolicy", "timestamp": "2026-01-18T14:32:05.5Z"}'
    told = '{"event": "kubernetes_event", "message": "Failed: no", "resource": "ma-x/Pod/y"}'
    sent = request(None, record("m"), record(drift), record(told))
    finance.siem.records.clear()
    eventually(lambda: gateway.post(pod.address, sent, port=gateway.platform), 200)
    eventually(lambda: len(finance.siem.records), 3)
    delivered, whole, event = finance.siem.records
    assert value(whole["body"])["message"] == drift, "our own lines have fields an app's record has not"
    assert (whole["severityText"], value(whole["body"])["timestamp"]) == ("warn", "2026-01-18T14:32:05.5Z")
    assert value(event["body"]).items() >= {"message": "Failed: no", "resource": "ma-x/Pod/y"}.items()
    assert value(delivered["body"]).items() >= {"app_id": "microapp-webhook", "tenant_id": NAMESPACE}.items()
    assert attributes(delivered)[_DAYS] == "365"
    assert gateway.post(pod.address, request(pod, record("m"))) == 503
    assert gateway.post(finance.pod.address, request(finance.pod, record("m")), port=gateway.platform) == 503
    assert gateway.post(pod.address, request(finance.pod, record("m")), port=gateway.platform) == 503
    app_pods.delete(pod)
