"""What reaches Datadog, on the wire: a server of these tests takes it, not Datadog."""

import json
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports

from microapp_operator.desired.forwarding.sinks import build_datadog, build_sinks
from tests.support.apppods import SEED, AppPods, Pod, record, request
from tests.support.datadog import Intake
from tests.support.eventually import eventually
from tests.support.gateway import DATADOG_KEY, Gateway
from tests.support.otlp import plain

_TIMES = ("timestamp", "@timestamp", "date", "_timestamp", "Timestamp", "eventTime", "published_date", "otel.timestamp")
"""Attributes Datadog takes for the time of a log; older than 18 hours it throws the log away."""
_EACH, _REQUESTS = 100, 40


@pytest.fixture
def pod(app_pods: AppPods) -> Pod:
    return app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"))


@pytest.fixture
def intake() -> Iterator[Intake]:
    with Intake() as intake:
        yield intake


def made(folder: Path, cluster: Cluster, port: int) -> Gateway:
    datadog = build_datadog("datadoghq.eu", endpoint=f"http://127.0.0.1:{port}")
    return Gateway(folder, cluster, build_sinks(datadog, queue_bytes=2**24), key=secrets.token_hex(16))


def send(gateway: Gateway, pod: Pod) -> set[str]:
    """4,000 records; returns their ids once all are taken."""
    ids = [f"run-{n}" for n in range(_REQUESTS * _EACH)]
    for first in range(0, len(ids), _EACH):
        sent = request(pod, *(record("x" * 200, uid) for uid in ids[first : first + _EACH]))
        eventually(lambda sent=sent: gateway.post(pod.address, sent), 200)
    return set(ids)


def test_a_record_is_a_message_with_fields_and_tags_and_is_given_no_time(
    tmp_path: Path, cluster: Cluster, intake: Intake, pod: Pod
) -> None:
    gateway = made(tmp_path, cluster, intake.port)
    line = {"msg": "from carol@example.com", "level": "warn"}
    with gateway.running():
        sent = request(pod, record(json.dumps(SEED), "run-1"), record(json.dumps(line), "run-2"))
        eventually(lambda: gateway.post(pod.address, sent), 200)
        eventually(lambda: len(intake.records), 2)
    audit, said = intake.attributes()
    assert SEED.items() - {("timestamp", SEED["timestamp"])} <= audit.items()
    assert audit["event_time"] == SEED["timestamp"]
    assert (audit["log.record.uid"], audit["microapp.log.retention_days"]) == ("run-1", "365")
    assert not {*_TIMES, "message"} & {*audit, *said}
    for each in intake.records:
        assert not {"timeUnixNano", "observedTimeUnixNano"} & {key for key, time in each.items() if time != "0"}
    assert intake.records[0]["traceId"] == SEED["trace_id"]
    first, second = (each["body"]["stringValue"] for each in intake.records)
    assert first == SEED["action"]
    assert second.startswith("from ")
    assert "carol" not in json.dumps(intake.resources)
    assert [each.get("severityText") for each in intake.records] == [None, "warn"]
    tags = {"app_id:expense-helper-v2", "tenant_id:finance", "risk_tier:low", "classification:internal"}
    assert all(set(each["ddtags"].split(",")) >= tags for each in (audit, said))
    who = {"service.name": "expense-helper-v2", "datadog.log.source": "microapp", "k8s.pod.name": pod.name}
    assert all(who.items() <= plain(each["resource"]["attributes"]).items() for each in intake.resources)
    assert intake.keys == {DATADOG_KEY}


def test_none_is_lost_while_it_refuses(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    turns = iter(range(10**6))
    with Intake(answer=lambda: (200, b"") if next(turns) % 3 == 2 else (403, b'{"errors":["Forbidden"]}')) as intake:
        gateway = made(tmp_path, cluster, intake.port)
        with gateway.running():
            sent = send(gateway, pod)
            eventually(lambda: set(intake.ids()) >= sent, timeout=120)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=lambda end: end.name)
def test_none_is_lost_when_the_gateway_ends_while_it_is_away(
    end: signal.Signals, tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    (port,) = free_ports(1)
    gateway = made(tmp_path, cluster, port)
    with gateway.running() as process:
        sent = send(gateway, pod)
        process.send_signal(end)
        process.wait(timeout=30)
    with Intake(port) as intake, gateway.running():
        eventually(lambda: set(intake.ids()) >= sent, timeout=60)
