"""What the real gateway has taken arrives, whatever happens to it and to the SIEM; what it can't take stays outside."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports

from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods, Pod, record, request
from tests.support.eventually import eventually
from tests.support.gateway import READABLE, Gateway
from tests.support.otlp import Receiver

QUICK = {"exporters": {"otlp_http": {"retry_on_failure": {"initial_interval": "100ms", "max_interval": "200ms"}}}}
EACH = 20


@pytest.fixture(scope="module")
def pod(app_pods: AppPods) -> Pod:
    return app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"))


def made(folder: Path, cluster: Cluster, port: int, queue_bytes: int = 2**26) -> Gateway:
    """A gateway whose SIEM is on that port, if it is there."""
    sinks = build_sinks(build_otlp(f"http://127.0.0.1:{port}"), queue_bytes=queue_bytes)
    return Gateway(folder, cluster, sinks, READABLE, QUICK, key=secrets.token_hex(16))


class Sender:
    """Sends as a launcher does: what isn't taken comes again, and each record has an id."""

    def __init__(self, gateway: Gateway, pod: Pod) -> None:
        self.gateway, self.pod = gateway, pod
        self.sent: list[str] = []

    def send(self, requests: int) -> None:
        """So many requests, all of them taken in the end."""
        for _ in range(requests):
            ids = [f"run-{len(self.sent) + n}" for n in range(EACH)]
            logs = request(self.pod, *(record(f"line {uid}", uid) for uid in ids))
            eventually(lambda logs=logs: self.gateway.post(self.pod.address, logs), 200)
            self.sent += ids


def test_none_is_lost_when_the_siem_is_down_and_the_gateway_is_killed(
    tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    (port,) = free_ports(1)
    gateway = made(tmp_path, cluster, port)
    sender = Sender(gateway, pod)
    for _ in range(2):
        with gateway.running():
            sender.send(20)
    with Receiver(port) as siem, gateway.running():
        sender.send(1)
        eventually(lambda: set(siem.ids()) >= set(sender.sent), timeout=60)
    assert sorted(set(siem.ids())) == sorted(sender.sent)


def test_none_is_lost_when_it_is_killed_while_it_delivers_to_one_that_refuses(
    tmp_path: Path, cluster: Cluster, pod: Pod
) -> None:
    turns: Iterator[int] = iter(range(10**6))
    with Receiver(answer=lambda: (503, b"") if next(turns) % 2 else (200, b"{}")) as siem:
        gateway = made(tmp_path, cluster, siem.port)
        sender = Sender(gateway, pod)
        for _ in range(5):
            with gateway.running():
                before = len(siem.records)
                sender.send(15)
                eventually(lambda before=before: len(siem.records) > before)
        with gateway.running():
            eventually(lambda: set(siem.ids()) >= set(sender.sent), timeout=60)
    assert sorted(set(siem.ids())) == sorted(sender.sent)


def test_what_a_full_queue_has_no_room_for_is_refused_at_once(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    (port,) = free_ports(1)
    gateway = made(tmp_path, cluster, port, queue_bytes=2**17)
    sender = Sender(gateway, pod)
    with gateway.running():
        sender.send(1)
        taken = [record("x" * 10_000) for _ in range(100)]
        statuses = [gateway.post(pod.address, request(pod, each)) for each in taken]
        full = statuses.index(503)
        assert statuses == [200] * full + [503] * (len(taken) - full)
        assert 5 < full < 14
        with Receiver(port) as siem:
            eventually(lambda: len(siem.records), EACH + full)
            sender.send(1)
            eventually(lambda: len(siem.records), 2 * EACH + full)


def series(name: str, kind: str, number: dict[str, Any], unit: str = "{record}") -> dict[str, Any]:
    point = {**number, "timeUnixNano": "1", "attributes": [{"key": "app_id", "value": {"stringValue": "forged"}}]}
    cumulative = {"aggregationTemporality": 2, "isMonotonic": True} if kind == "sum" else {}
    return {"name": name, "unit": unit, kind: {"dataPoints": [point], **cumulative}}


def test_what_is_measured_of_forwarding_is_served_with_its_identity(tmp_path: Path, cluster: Cluster, pod: Pod) -> None:
    (port,) = free_ports(1)
    gateway = made(tmp_path, cluster, port)
    metrics = [
        series("microapp.log.delivered", "sum", {"asInt": "7"}),
        series("microapp.log.dropped", "sum", {"asInt": "2"}, unit="By"),
        series("microapp.log.backlog", "gauge", {"asInt": "3"}),
        series("microapp.log.last_delivered_time", "gauge", {"asDouble": 1768748400.5}, unit="s"),
        series("microapp.log.backlog_since_time", "gauge", {"asDouble": 1768748400.25}, unit="s"),
        series("microapp.log.backlog", "sum", {"asInt": "99"}),
        series("forged", "gauge", {"asInt": "1"}),
    ]
    logs = request(pod, app_id="forged")["resourceLogs"][0]
    sent = {"resourceMetrics": [{"resource": logs["resource"], "scopeMetrics": [{"metrics": metrics}]}]}
    who = f'app_id="expense-helper-v2",k8s_pod_name="{pod.name}",k8s_pod_uid="{pod.uid}",tenant_id="finance"'
    with gateway.running():
        eventually(lambda: gateway.post(pod.address, sent, "/v1/metrics"), 200)
        wanted = {
            "microapp_log_delivered_total": 7.0,
            "microapp_log_dropped_total": 2.0,
            "microapp_log_backlog": 3.0,
            "microapp_log_last_delivered_time_seconds": 1768748400.5,
            "microapp_log_backlog_since_time_seconds": 1768748400.25,
        }
        served = {f"{name}{{{who}}}": number for name, number in wanted.items()}
        eventually(lambda: gateway.measured(gateway.forwarding), served)
        assert gateway.post("127.3.3.3", sent, "/v1/metrics") == 503
        Sender(gateway, pod).send(3)
        Sender(gateway, pod).send(3)
        whose = {"app_id": "expense-helper-v2", "tenant_id": "finance"}
        eventually(lambda: gateway.total(gateway.forwarding, "microapp_log_records_total", **whose), 6 * EACH)
