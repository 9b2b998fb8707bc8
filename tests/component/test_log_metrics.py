"""The metrics that alerts and dashboard ask for are those the real gateway has, down to their labels."""

import re
import secrets
from pathlib import Path
from typing import Any

from hack.lab.context import Cluster

from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods, Pod, record, request
from tests.support.eventually import eventually
from tests.support.gateway import READABLE, Gateway
from tests.support.logmetrics import FORWARDING, TELEMETRY
from tests.support.otlp import Receiver

SUMS, GAUGES = ("delivered", "dropped"), ("backlog", "last_delivered_time", "backlog_since_time")
_ROOM = 2**20
_LONG = "x" * 300_000


def measurements(pod: Pod) -> dict[str, Any]:
    """An ExportMetricsServiceRequest as launchers send it."""
    point = {"timeUnixNano": "1768748400000000000", "startTimeUnixNano": "1768748300000000000", "asInt": "1"}
    total = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}
    metrics = [
        *({"name": f"microapp.log.{name}", "sum": total} for name in SUMS),
        *({"name": f"microapp.log.{name}", "gauge": {"dataPoints": [point]}} for name in GAUGES),
    ]
    attributes = [{"key": "k8s.pod.uid", "value": {"stringValue": pod.uid}}]
    return {
        "resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": metrics}]}],
    }


def labels(gateway: Gateway, port: int) -> dict[str, set[str]]:
    """Each series of a page to its labels; those that all of its series have."""
    found: dict[str, set[str]] = {}
    for series in gateway.measured(port):
        name, _, rest = series.partition("{")
        known = set(re.findall(r'(\w+)="', rest))
        found[name] = found.get(name, known) & known
    return found


def test_every_metric_that_is_asked_for_is_there_with_its_labels(
    cluster: Cluster, app_pods: AppPods, tmp_path: Path
) -> None:
    said = [record({"message": "mail to alice@example.com", "app_id": "another", "traceparent": "none"})]

    with Receiver(answer=lambda: (400, b"{}")) as siem:
        sinks = build_sinks(build_otlp(f"http://127.0.0.1:{siem.port}"), queue_bytes=_ROOM)
        gateway = Gateway(tmp_path, cluster, sinks, READABLE, key=secrets.token_hex(16))
        pod = app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"))

        def post(*records: dict[str, Any]) -> int:
            return gateway.post(pod.address, request(pod, *records))

        with gateway.running():
            eventually(lambda: post(*said), 200)
            eventually(lambda: gateway.total(gateway.telemetry, "otelcol_exporter_send_failed_log_records_total"), 1.0)
            siem.answer = lambda: (200, b"{}")
            eventually(lambda: post(*said), 200)
            eventually(lambda: gateway.total(gateway.telemetry, "otelcol_exporter_sent_log_records_total"), 1.0)
            siem.answer = lambda: (503, b"{}")
            eventually(lambda: post(record({"message": _LONG})), 503)
            assert gateway.post(pod.address, measurements(pod), "/v1/metrics") == 200
            eventually(lambda: FORWARDING.keys() - labels(gateway, gateway.forwarding).keys(), set())
            for port, known in ((gateway.telemetry, TELEMETRY), (gateway.forwarding, FORWARDING)):
                found = labels(gateway, port)
                assert {name: each & found[name] for name, each in known.items()} == known
