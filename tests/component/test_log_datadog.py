"""What reaches Datadog, on the wire."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.lab.context import Cluster

from microapp_operator.desired.forwarding.sinks import build_datadog, build_sinks
from tests.support.apppods import SEED, AppPods, Pod, record, request
from tests.support.datadog import Intake
from tests.support.eventually import eventually
from tests.support.gateway import DATADOG_KEY, Gateway

_TIMES = ("timestamp", "@timestamp", "date", "_timestamp", "Timestamp", "eventTime", "published_date", "otel.timestamp")
"""Attributes Datadog takes for the time of a log; older than 18 hours it throws the log away."""


@pytest.fixture
def pod(app_pods: AppPods) -> Pod:
    return app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"))


@pytest.fixture
def intake() -> Iterator[Intake]:
    with Intake() as intake:
        yield intake


def made(folder: Path, cluster: Cluster, intake: Intake) -> Gateway:
    datadog = build_datadog("datadoghq.eu", endpoint=f"http://127.0.0.1:{intake.port}")
    return Gateway(folder, cluster, build_sinks(datadog, queue_bytes=2**24), key=secrets.token_hex(16))


def test_a_record_is_fields_and_tags_and_is_given_no_time(
    tmp_path: Path, cluster: Cluster, intake: Intake, pod: Pod
) -> None:
    gateway = made(tmp_path, cluster, intake)
    line = {"msg": "from carol@example.com", "level": "warn"}
    with gateway.running():
        sent = request(pod, record(json.dumps(SEED), "run-1"), record(json.dumps(line), "run-2"))
        eventually(lambda: gateway.post(pod.address, sent), 200)
        eventually(lambda: len(intake.logs), 2)
    audit, said = intake.fields()
    assert SEED.items() - {("timestamp", SEED["timestamp"]), ("trace_id", SEED["trace_id"])} <= audit.items()
    assert audit["event_time"] == SEED["timestamp"]
    assert audit["otel.trace_id"] == SEED["trace_id"]
    assert (audit["log.record.uid"], audit["microapp.log.retention_days"]) == ("run-1", 365)
    assert not {*_TIMES} & {*audit, *said}
    assert audit["message"] == SEED["action"]
    assert said["message"].startswith("from ")
    assert "carol" not in json.dumps(intake.logs)
    assert [log["status"] for log in intake.logs] == ["info", "warn"]
    for log in intake.logs:
        assert (log["service"], log["ddsource"]) == ("expense-helper-v2", "microapp")
        tags = {"app_id:expense-helper-v2", "tenant_id:finance", "risk_tier:low", "classification:internal"}
        assert set(log["ddtags"].split(",")) >= tags
    assert intake.keys == {DATADOG_KEY}


def test_none_is_lost_while_it_refuses(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    turns = iter(range(10**6))
    with Intake(lambda: 202 if next(turns) % 3 == 2 else 503) as intake:
        gateway = made(tmp_path, cluster, intake)
        with gateway.running():
            ids = [f"run-{n}" for n in range(3_000)]
            for first in range(0, len(ids), 100):
                sent = request(pod, *(record("x" * 200, uid) for uid in ids[first : first + 100]))
                eventually(lambda sent=sent: gateway.post(pod.address, sent), 200)
            eventually(lambda: {each["log.record.uid"] for each in intake.fields()} >= set(ids), timeout=120)
