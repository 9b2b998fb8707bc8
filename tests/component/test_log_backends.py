"""What Splunk and Elasticsearch are sent by their own exporters, and a store that takes both wire formats keeps."""

import json
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports

from microapp_operator.desired.forwarding.sinks import Sink, build_elasticsearch, build_otlp, build_sinks, build_splunk
from tests.support.apppods import SEED, AppPods, Pod, record, request
from tests.support.eventually import eventually
from tests.support.fickle import Fickle
from tests.support.gateway import Gateway
from tests.support.logmetrics import PARTLY, labels_of
from tests.support.otlp import Answer
from tests.support.victorialogs import VictoriaLogs

Maker = Callable[[str], Sink]
MAKERS: dict[str, Maker] = {
    "splunk": lambda url: build_splunk(f"{url}/insert/splunk/services/collector/event", "apps", "token-of-splunk"),
    "elasticsearch": lambda url: build_elasticsearch(f"{url}/insert/elasticsearch", "apps", "a2V5OnNlY3JldA=="),
    "otlp": lambda url: build_otlp(f"{url}/insert/opentelemetry"),
}
PLACES = {
    "splunk": ("event.", "fields.", "fields."),
    "elasticsearch": ("body.structured.", "attributes.", "resource.attributes."),
    "otlp": ("", "", ""),
}
"""Before the name of a key of the body, of an attribute, and of one that says whose it is."""
_PATIENCE = {"retry_on_failure": {"initial_interval": "100ms", "max_interval": "200ms"}}
QUICK: dict[str, Any] = {
    "splunk": {"exporters": {"splunk_hec": _PATIENCE}},
    "elasticsearch": {
        "exporters": {"elasticsearch": {"retry": {"initial_interval": "100ms", "max_interval": "200ms"}}}
    },
}
LOST, REFUSALS = "otelcol_exporter_send_failed_log_records_total", "microapp_log_sink_refusals_total"
EACH = "otelcol_elasticsearch_docs_processed_total"
_EACH, _REQUESTS = 100, 40
lossless = pytest.mark.parametrize("kind", ["splunk", "elasticsearch"])


@pytest.fixture
def pod(app_pods: AppPods) -> Pod:
    return app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"))


def made(folder: Path, cluster: Cluster, kind: str, port: int, *more: dict[str, Any]) -> Gateway:
    sinks = build_sinks(MAKERS[kind](f"http://127.0.0.1:{port}"), queue_bytes=2**24)
    return Gateway(folder, cluster, sinks, *more, key=secrets.token_hex(16))


def send(gateway: Gateway, pod: Pod, *, start: str = "run", requests: int = _REQUESTS) -> set[str]:
    """100 records a request; returns their ids once all are taken."""
    ids = [f"{start}-{n}" for n in range(requests * _EACH)]
    for first in range(0, len(ids), _EACH):
        sent = request(pod, *(record("x" * 200, uid) for uid in ids[first : first + _EACH]))
        eventually(lambda sent=sent: gateway.post(pod.address, sent), 200)
    return set(ids)


def kept(store: VictoriaLogs, kind: str) -> set[str]:
    """Ids of the records there."""
    return {each[f"{PLACES[kind][1]}log.record.uid"] for each in store.records()}


@pytest.mark.parametrize("kind", MAKERS)
def test_it_keeps_every_key_the_identity_and_the_time(kind: str, tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    line = {"msg": "from carol@example.com", "level": "warn"}
    with VictoriaLogs(tmp_path / "store") as store:
        gateway = made(tmp_path, cluster, kind, store.port)
        with gateway.running():
            sent = request(pod, record(json.dumps(SEED), "run-1"), record(json.dumps(line), "run-2"))
            eventually(lambda: gateway.post(pod.address, sent), 200)
            eventually(lambda: kept(store, kind), {"run-1", "run-2"})
        body, attribute, whose = PLACES[kind]
        found = {each[f"{attribute}log.record.uid"]: each for each in store.records()}
    audit, said = found["run-1"], found["run-2"]
    assert {f"{body}{key}": text for key, text in SEED.items()}.items() <= audit.items()
    assert audit[f"{attribute}microapp.log.retention_days"] == "365"
    identity = {
        "app_id": "expense-helper-v2",
        "tenant_id": "finance",
        "microapp.risk_tier": "low",
        "k8s.pod.uid": pod.uid,
        "k8s.namespace.name": pod.namespace,
    }
    for each in (audit, said):
        assert {f"{whose}{key}": text for key, text in identity.items()}.items() <= each.items()
    assert "warn" in said.values()
    assert "carol" not in json.dumps([audit, said])
    if kind != "elasticsearch":  # that it has in a form of its own
        assert audit["_time"] == SEED["timestamp"]


def test_splunk_is_told_index_source_and_host(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    with VictoriaLogs(tmp_path / "store") as store:
        gateway = made(tmp_path, cluster, "splunk", store.port)
        with gateway.running():
            eventually(lambda: gateway.post(pod.address, request(pod, record("one", "run-1"))), 200)
            eventually(lambda: len(store.records()), 1)
        (said,) = store.records()
    assert {"index": "apps", "source": "microapp", "sourcetype": "_json", "host": pod.name}.items() <= said.items()


@lossless
@pytest.mark.parametrize("status", [302, 401, 403, 404, 500])
def test_none_is_lost_to_a_refusal_that_somebody_can_mend(
    kind: str, status: int, tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    turns = iter(range(10**6))

    def answer() -> Answer | None:
        return None if next(turns) % 3 == 2 else (status, b"{}")

    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url, answer) as before:
        gateway = made(tmp_path, cluster, kind, before.port, QUICK[kind])
        with gateway.running():
            sent = send(gateway, pod)
            eventually(lambda: kept(store, kind), sent, timeout=120)
            assert gateway.total(gateway.telemetry, REFUSALS, status=str(status)) > 0
            assert gateway.total(gateway.telemetry, LOST) == 0


@pytest.mark.parametrize(
    ("kind", "end"),
    [("splunk", signal.SIGKILL), ("splunk", signal.SIGTERM), ("elasticsearch", signal.SIGKILL)],
    ids=["splunk-SIGKILL", "splunk-SIGTERM", "elasticsearch-SIGKILL"],
)
def test_none_is_lost_when_the_gateway_ends_while_it_is_away(
    kind: str, end: signal.Signals, tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    """Elasticsearch's exporter goes on trying for as long as it is let: it is killed in the end, and nothing else."""
    (port,) = free_ports(1)
    gateway = made(tmp_path, cluster, kind, port)
    with gateway.running() as process:
        sent = send(gateway, pod)
        process.send_signal(end)
        process.wait(timeout=60)
    with VictoriaLogs(tmp_path / "store", port) as store, gateway.running():
        eventually(lambda: kept(store, kind), sent, timeout=60)


@lossless
@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/html; charset=utf-8", "X-Elastic-Product": "Elasticsearch"}, {"Content-Type": "text/html"}],
    ids=["page", "stranger"],
)
def test_a_page_that_says_yes_to_all_is_no_sink(
    kind: str, headers: dict[str, str], tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url, lambda: (200, b"<p>Sign in</p>")) as before:
        usual, before.headers = before.headers, headers
        gateway = made(tmp_path, cluster, kind, before.port, QUICK[kind])
        with gateway.running():
            sent = send(gateway, pod, requests=2)
            eventually(lambda: gateway.total(gateway.telemetry, REFUSALS, status="no sink") > 2)
            before.answer, before.headers = lambda: None, usual
            eventually(lambda: kept(store, kind), sent)
            assert gateway.total(gateway.telemetry, LOST) == 0


def test_what_is_like_elasticsearch_but_is_not_gets_no_records(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    """Its exporter would throw away what it sends to any other."""
    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url) as before:
        usual, before.headers = before.headers, {"Content-Type": "application/json"}
        gateway = made(tmp_path, cluster, "elasticsearch", before.port, QUICK["elasticsearch"])
        with gateway.running():
            sent = send(gateway, pod, requests=2)
            eventually(lambda: gateway.total(gateway.telemetry, REFUSALS, status="no sink") > 2)
            before.headers = usual
            eventually(lambda: gateway.total(gateway.telemetry, "otelcol_exporter_queue_size"), 0)
            assert gateway.total(gateway.telemetry, LOST) == 0
        eventually(lambda: kept(store, "elasticsearch"), sent)


@lossless
def test_what_is_refused_because_of_its_content_is_counted_and_holds_up_nothing(
    kind: str, tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url, lambda: (400, b"{}")) as before:
        gateway = made(tmp_path, cluster, kind, before.port, QUICK[kind])
        with gateway.running():
            lost = send(gateway, pod, start="lost", requests=2)
            eventually(lambda: gateway.total(gateway.telemetry, LOST), len(lost))
            before.answer = lambda: None
            sent = send(gateway, pod, requests=2)
            eventually(lambda: kept(store, kind), sent)


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_elasticsearch_may_refuse_one_record_of_many_for_now(
    status: int, tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    """Behind a 200, each record has an answer of its own."""
    answers = [_each_of(status)]

    def answer() -> Answer | None:
        return answers.pop() if answers else None

    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url, answer) as before:
        gateway = made(tmp_path, cluster, "elasticsearch", before.port, QUICK["elasticsearch"])
        with gateway.running():
            eventually(lambda: gateway.post(pod.address, request(pod, record("one", "run-1"))), 200)
            eventually(lambda: kept(store, "elasticsearch"), {"run-1"})


def test_what_elasticsearch_refuses_for_good_of_many_is_counted(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url, lambda: _each_of(400)) as before:
        gateway = made(tmp_path, cluster, "elasticsearch", before.port, QUICK["elasticsearch"])
        with gateway.running():
            eventually(lambda: gateway.post(pod.address, request(pod, record("one", "run-1"))), 200)
            refused = {"http_response_status_code": "400", "outcome": "failed_client"}
            eventually(lambda: gateway.total(gateway.telemetry, EACH, **refused), 1)
            assert labels_of(gateway.measured(gateway.telemetry), EACH) >= PARTLY[EACH]


def test_elasticsearch_is_given_the_same_id_twice(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    """Who creates what is there is told so (409), and nothing else happens."""
    with VictoriaLogs(tmp_path / "store") as store, Fickle(store.url) as before:
        gateway = made(tmp_path, cluster, "elasticsearch", before.port)
        with gateway.running():
            for _ in range(2):
                eventually(lambda: gateway.post(pod.address, request(pod, record("one", "run-1"))), 200)
            eventually(lambda: len(store.records()), 2)
            before.answer = lambda: _each_of(409)
            eventually(lambda: gateway.post(pod.address, request(pod, record("one", "run-1"))), 200)
            eventually(lambda: gateway.total(gateway.telemetry, "otelcol_exporter_queue_size"), 0)
        actions = [json.loads(line)["create"] for body in before.bodies for line in body.splitlines()[::2]]
    assert [(each["_index"], each["_id"]) for each in actions] == [("apps", f"{pod.uid}-run-1")] * 2


def _each_of(status: int) -> Answer:
    item = {"create": {"_index": "apps", "status": status, "error": {"type": "any", "reason": "any"}}}
    return 200, json.dumps({"errors": True, "items": [item]}).encode()
