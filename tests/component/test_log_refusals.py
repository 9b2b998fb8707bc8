"""A sink that says no costs no record, unless it says that it is because of the records."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.lab.context import Cluster

from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods, Pod, record, request
from tests.support.eventually import eventually
from tests.support.gateway import READABLE, Gateway
from tests.support.logmetrics import PARTLY, labels_of
from tests.support.otlp import Answer, Receiver

QUICK = {"exporters": {"otlp_http": {"retry_on_failure": {"initial_interval": "100ms", "max_interval": "200ms"}}}}
YES: Answer = (200, b"{}")
REJECTED = "microapp_log_sink_rejected_total"
QUEUED, SENT = "otelcol_exporter_queue_size", "otelcol_exporter_sent_log_records_total"
LOST, REFUSALS = "otelcol_exporter_send_failed_log_records_total", "microapp_log_sink_refusals_total"


@pytest.fixture(scope="module")
def pod(app_pods: AppPods) -> Pod:
    return app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"))


@pytest.fixture
def siem() -> Iterator[Receiver]:
    with Receiver() as siem:
        yield siem


@pytest.fixture
def gateway(siem: Receiver, tmp_path: Path, cluster: Cluster) -> Gateway:
    sinks = build_sinks(build_otlp(f"http://127.0.0.1:{siem.port}"), queue_bytes=2**26)
    return Gateway(tmp_path, cluster, sinks, READABLE, QUICK, key=secrets.token_hex(16))


def send(gateway: Gateway, pod: Pod, start: str) -> set[str]:
    """Ten requests of ten records; returns their ids once all are taken."""
    ids = [[f"{start}-{turn}-{n}" for n in range(10)] for turn in range(10)]
    for some in ids:
        sent = request(pod, *(record(f"line {uid}", uid) for uid in some))
        eventually(lambda sent=sent: gateway.post(pod.address, sent), 200)
    return {uid for some in ids for uid in some}


def total(gateway: Gateway, name: str, **labels: str) -> float:
    return gateway.total(gateway.telemetry, name, **labels)


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 422, 500, 501, 530])
def test_none_is_lost_to_a_refusal_that_somebody_can_mend(
    status: int, siem: Receiver, gateway: Gateway, pod: Pod
) -> None:
    siem.answer = lambda: (status, b"who are you?")
    known = {"server_address": f"127.0.0.1:{siem.port}", "status": str(status)}
    with gateway.running():
        sent = send(gateway, pod, "before")
        eventually(lambda: total(gateway, REFUSALS, **known) > 20)
        assert total(gateway, QUEUED, exporter="otlp_http") > 0
        assert total(gateway, SENT) == total(gateway, LOST) == 0
        assert f"asked again after {status} " in gateway.log.read_text()
        siem.answer = lambda: YES
        sent |= send(gateway, pod, "after")
        eventually(lambda: set(siem.ids()), sent)
        eventually(lambda: total(gateway, QUEUED, exporter="otlp_http"), 0)
        assert total(gateway, LOST) == 0


def test_none_is_lost_when_the_gateway_gets_another_key(siem: Receiver, gateway: Gateway, pod: Pod) -> None:
    """Credentials are read at its start: to give it a new one is to end it."""
    siem.answer = lambda: (401, b"")
    with gateway.running() as process:
        sent = send(gateway, pod, "before")
        eventually(lambda: total(gateway, REFUSALS, status="401") > 0)
        process.terminate()
        process.wait(timeout=30)
    siem.answer = lambda: YES
    with gateway.running():
        eventually(lambda: set(siem.ids()), sent)


@pytest.mark.parametrize("status", [400, 413])
def test_what_is_refused_because_of_its_content_is_counted_and_holds_up_nothing(
    status: int, siem: Receiver, gateway: Gateway, pod: Pod
) -> None:
    siem.answer = lambda: (status, b"")
    with gateway.running():
        lost = send(gateway, pod, "before")
        eventually(lambda: total(gateway, LOST, exporter="otlp_http"), len(lost))
        assert total(gateway, REFUSALS, status=str(status)) > 0
        siem.answer = lambda: YES
        sent = send(gateway, pod, "after")
        eventually(lambda: set(siem.ids()), sent)
        assert total(gateway, LOST) == len(lost)


def test_a_success_that_refuses_some_is_counted(siem: Receiver, gateway: Gateway, pod: Pod) -> None:
    """ExportLogsServiceResponse: partial_success, which says that three records were rejected, and why."""
    siem.answer = lambda: (200, bytes([10, 7, 8, 3, 18, 3]) + b"old")
    siem.headers = {"Content-Type": "application/x-protobuf"}
    with gateway.running():
        sent = send(gateway, pod, "run")
        eventually(lambda: total(gateway, SENT) >= len(sent))
        count = total(gateway, REJECTED, server_address=f"127.0.0.1:{siem.port}")
        assert count > 0
        assert count % 3 == 0
        assert labels_of(gateway.measured(gateway.telemetry), REJECTED) >= PARTLY[REJECTED]
        assert "Partial success response" in gateway.log.read_text()


def test_a_page_is_no_success(siem: Receiver, gateway: Gateway, pod: Pod) -> None:
    siem.answer, siem.headers = lambda: (200, b"<p>Sign in</p>"), {"Content-Type": "text/html; charset=utf-8"}
    with gateway.running():
        sent = send(gateway, pod, "before")
        eventually(lambda: total(gateway, REFUSALS, status="no sink") > 2)
        assert "asked again after 200 OK with a page" in gateway.log.read_text()
        siem.clear()
        siem.answer, siem.headers = lambda: YES, {}
        eventually(lambda: set(siem.ids()), sent)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_it_is_asked_when_it_says_to_be(status: int, siem: Receiver, gateway: Gateway, pod: Pod) -> None:
    siem.answer, siem.headers = lambda: (status, b""), {"Retry-After": "3600"}
    with gateway.running():
        send(gateway, pod, "before")
        eventually(lambda: '"interval":"1h0m0s"' in gateway.log.read_text())


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_gets_neither_the_records_nor_the_credentials(
    status: int, siem: Receiver, tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    with Receiver() as elsewhere:
        siem.answer, siem.headers = lambda: (status, b""), {"Location": f"http://127.0.0.1:{elsewhere.port}/v1/logs"}
        sinks = build_sinks(build_otlp(f"http://127.0.0.1:{siem.port}", {"x-key": "secret"}), queue_bytes=2**26)
        gateway = Gateway(tmp_path, cluster, sinks, READABLE, QUICK, key=secrets.token_hex(16))
        with gateway.running():
            sent = send(gateway, pod, "before")
            eventually(lambda: total(gateway, REFUSALS, status=str(status)) > 20)
            siem.answer = lambda: YES
            eventually(lambda: set(siem.ids()), sent)
        assert elsewhere.records == []
