"""A canary goes the way of a record through the real gateway, and is read back from a real log store, or missed."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hack.lab.build import LabError
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.process import OperatorProcess
from prometheus_client.parser import text_string_to_metric_families

from microapp_operator.adapters.kubernetes.log_gateway import read_canaries
from microapp_operator.canary.record import make_canary
from microapp_operator.desired.forwarding.redaction import build_marked
from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods, Pod
from tests.support.canary import Backend, CanaryProcess, made, shown
from tests.support.eventually import eventually
from tests.support.gateway import NAMESPACE, READABLE
from tests.support.logmetrics import CANARY, labels_of
from tests.support.otlp import Receiver, plain
from tests.support.victorialogs import VictoriaLogs

QUERY = '/select/logsql/query?limit=1&query="log.record.uid":{uid}'
SECRET = "Bearer-of-tidings-0123456789"
QUICK = {"exporters": {"otlp_http": {"retry_on_failure": {"initial_interval": "100ms", "max_interval": "200ms"}}}}


@pytest.fixture(scope="module")
def pod(app_pods: AppPods) -> Iterator[Pod]:
    """The gateway's own."""
    pod = app_pods.pod(NAMESPACE, labels={"app.kubernetes.io/component": "log-gateway"})
    yield pod
    app_pods.delete(pod)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VictoriaLogs]:
    with VictoriaLogs(tmp_path / "store") as store:
        yield store


def to(endpoint: str) -> dict[str, Any]:
    return build_sinks(build_otlp(endpoint), queue_bytes=2**24)


def asking(url: str, **more: Any) -> list[dict[str, Any]]:
    return [{"sink": "otlp", "url": url, **more}]


def answer(canary: OperatorProcess) -> str:
    """What the backend said last."""
    (series,) = (name for name in canary.metrics() if name.startswith("microapp_log_canary_answer{"))
    return series.partition('answer="')[2].partition('"')[0]


def test_it_is_read_back_from_a_store_that_keeps_it_under_the_gateways_identity(
    tmp_path: Path, cluster: Cluster, pod: Pod, store: VictoriaLogs
) -> None:
    gateway = made(tmp_path, cluster, to(f"{store.url}/insert/opentelemetry"), pod)
    canary = CanaryProcess(tmp_path, cluster, pod, asking(f"{store.url}{QUERY}"))
    with gateway.running(), canary.running() as process:
        eventually(lambda: shown(process, "read_back_time_seconds", sink="otlp") > 0)
        eventually(lambda: shown(process, "missing_since_time_seconds"), 0)
        first = shown(process, "read_back_time_seconds")
        assert 0 < shown(process, "delay_seconds") < canary.deadline
        eventually(lambda: shown(process, "read_back_time_seconds") > first)
        assert shown(process, "failures_total") == 0
        (known, *_) = store.records()
    assert (known["app_id"], known["tenant_id"], known["action"]) == ("microapp-log-gateway", NAMESPACE, "log.canary")
    assert "microapp.log.redacted" not in known


def test_one_that_takes_everything_and_keeps_nothing_is_found_out(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    """It even says all that it is asked: that isn't what proves that it has the record."""
    with Receiver() as siem, Backend(lambda path, body: (200, {}, path.encode() + body)) as backend:
        gateway = made(tmp_path, cluster, to(f"http://127.0.0.1:{siem.port}"), pod, READABLE)
        url = f"http://127.0.0.1:{backend.port}/search?q={{uid}}"
        canary = CanaryProcess(tmp_path, cluster, pod, asking(url, body='{"id": "{uid}"}'))
        with gateway.running(), canary.running() as process:
            eventually(lambda: shown(process, "failures_total", sink="otlp", why="absent") > 0, timeout=60)
            assert shown(process, "read_back_time_seconds") == 0
            assert shown(process, "missing_since_time_seconds") > 0
            assert answer(process) == "200 OK, without the record"
    uid = plain(siem.records[0]["attributes"])["log.record.uid"]
    path, headers, body = backend.asked[0]
    assert (path, body.decode()) == (f"/search?q={uid}", json.dumps({"id": uid}))
    assert headers["Content-Type"] == "application/json"
    assert "canary_not_read_back" in canary.log.read_text()


def test_one_that_refuses_is_told_with_its_status_and_no_credential(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    with Receiver() as siem, Backend(lambda *_: (401, {"Location": "http://127.0.0.1:1/"}, SECRET.encode())) as backend:
        gateway = made(tmp_path, cluster, to(f"http://127.0.0.1:{siem.port}"), pod, READABLE)
        told = {"secretHeaders": {"Authorization": "OTLP_READ_BACK"}}
        url = f"http://127.0.0.1:{backend.port}/{{uid}}"
        canary = CanaryProcess(tmp_path, cluster, pod, asking(url, **told), variables={"OTLP_READ_BACK": SECRET})
        with gateway.running(), canary.running() as process:
            eventually(lambda: answer(process), "401 Unauthorized")
            page = json.dumps(process.metrics())
    assert backend.asked[0][1]["Authorization"] == SECRET
    assert SECRET not in page + canary.log.read_text()


def test_one_without_a_credential_is_not_asked(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    with Receiver() as siem, Backend(lambda *_: (200, {}, b"")) as backend:
        gateway = made(tmp_path, cluster, to(f"http://127.0.0.1:{siem.port}"), pod, READABLE)
        told = {"secretHeaders": {"Authorization": "OTLP_READ_BACK"}}
        canary = CanaryProcess(tmp_path, cluster, pod, asking(f"http://127.0.0.1:{backend.port}/{{uid}}", **told))
        with gateway.running(), canary.running() as process:
            eventually(lambda: answer(process), "not asked: there is no usable value for header Authorization")
    assert backend.asked == []


def test_a_redirect_is_not_followed(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    with Receiver() as siem, Backend(lambda *_: (200, {}, b"")) as elsewhere:
        away = {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        with Backend(lambda *_: (302, away, b"")) as backend:
            gateway = made(tmp_path, cluster, to(f"http://127.0.0.1:{siem.port}"), pod, READABLE)
            canary = CanaryProcess(tmp_path, cluster, pod, asking(f"http://127.0.0.1:{backend.port}/{{uid}}"))
            with gateway.running(), canary.running() as process:
                eventually(lambda: answer(process), "302 Found")
    assert elsewhere.asked == []


def test_it_is_found_once_the_store_is_back(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    (port,) = free_ports(1)
    gateway = made(tmp_path, cluster, to(f"http://127.0.0.1:{port}/insert/opentelemetry"), pod, QUICK)
    canary = CanaryProcess(tmp_path, cluster, pod, asking(f"http://127.0.0.1:{port}{QUERY}"))
    with gateway.running(), canary.running() as process:
        eventually(lambda: answer(process), "no answer: Connection refused")
        assert shown(process, "missing_since_time_seconds") > 0
        with VictoriaLogs(tmp_path / "store", port):
            eventually(lambda: shown(process, "read_back_time_seconds") > 0, timeout=60)


def test_the_gateway_may_be_away(tmp_path: Path, cluster: Cluster, pod: Pod, store: VictoriaLogs) -> None:
    gateway = made(tmp_path, cluster, to(f"{store.url}/insert/opentelemetry"), pod)
    canary = CanaryProcess(tmp_path, cluster, pod, asking(f"{store.url}{QUERY}"))
    with canary.running() as process:
        eventually(lambda: answer(process), "the log gateway gives no answer: Connection refused")
        with gateway.running():
            eventually(lambda: shown(process, "read_back_time_seconds") > 0, timeout=60)


def test_what_it_is_told_has_to_make_sense(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    canary = CanaryProcess(tmp_path, cluster, pod, asking("ftp://127.0.0.1/{uid}"))
    with pytest.raises(LabError), canary.running():
        pass
    assert "readBacks.0.url" in canary.log.read_text()


def test_the_operator_reads_what_its_page_says(tmp_path: Path, cluster: Cluster, pod: Pod, store: VictoriaLogs) -> None:
    gateway = made(tmp_path, cluster, to(f"{store.url}/insert/opentelemetry"), pod)
    canary = CanaryProcess(tmp_path, cluster, pod, asking(f"{store.url}{QUERY}"))
    with gateway.running(), canary.running() as process:
        eventually(lambda: shown(process, "read_back_time_seconds") > 0)
        text, series = process.page(), process.metrics()
    (state,) = read_canaries([("gateway-0", family) for family in text_string_to_metric_families(text)])
    assert (state.pod, state.sink, state.deadline) == ("gateway-0", "otlp", timedelta(seconds=canary.deadline))
    assert state.read_back is not None
    assert (state.missing_since, state.answer) == (None, "has the record")
    seen = {name: labels for name, labels in CANARY.items() if "missing_since" not in name}
    assert {name: labels_of(series, name) for name in seen} == seen, "what alerts and dashboard ask for"


def test_nothing_of_it_is_redacted() -> None:
    """None of what redaction looks for is in any of many."""
    (statements,) = (group["statements"] for group in build_marked("tenant") if "resource" in str(group["conditions"]))
    texts = (
        re.search(r'replace_pattern\(log\.body\["resource"\], "((?:[^"\\]|\\.)*)", C', each) for each in statements
    )
    patterns = [re.compile(text[1].replace("$$", "$").encode().decode("unicode_escape")) for text in texts if text]
    assert any(pattern.search("+49 170 1234567") for pattern in patterns), "they are those"
    for _ in range(4000):
        canary = make_canary(0)
        assert canary.uid != canary.proof
        assert not any(pattern.search(word) for pattern in patterns for word in (canary.uid, canary.proof))
