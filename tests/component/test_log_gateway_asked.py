"""The operator's questions to the log gateway's pods, which a plain HTTP server answers with pages as they come."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from microapp_operator.adapters.kubernetes.client import Call
from microapp_operator.adapters.kubernetes.log_gateway import HttpLogGateway
from microapp_operator.errors import Transient
from microapp_operator.ports import GatewayReading, PodReport, SinkState
from tests.support.samples import LOGGING

WHO = 'app_id="app",tenant_id="finance",k8s_pod_uid="u1",k8s_pod_name="p"'
EARLIER = f"""
# TYPE microapp_log_delivered_total counter
microapp_log_delivered_total{{{WHO}}} 10 1700000000000
# TYPE microapp_log_backlog gauge
microapp_log_backlog{{{WHO}}} 7 1700000000000
"""
LATER = f"""
# TYPE microapp_log_delivered_total counter
microapp_log_delivered_total{{{WHO}}} 17 1700000030000
# TYPE microapp_log_dropped_total counter
microapp_log_dropped_total{{{WHO}}} 2 1700000030000
# TYPE microapp_log_last_delivered_time_seconds gauge
microapp_log_last_delivered_time_seconds{{{WHO}}} 1.7e+09 1700000030000
# TYPE microapp_log_records_total counter
microapp_log_records_total{{app_id="app",tenant_id="finance"}} 99
"""
TELEMETRY = """
# TYPE otelcol_exporter_queue_size gauge
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http"} 3
# TYPE otelcol_exporter_sent_log_records_total counter
otelcol_exporter_sent_log_records_total{exporter="otlp_http"} 40
"""


@contextmanager
def pages(forwarding: str, telemetry: str = TELEMETRY) -> Iterator[tuple[int, int]]:
    """Ports of a pod that serves them."""
    servers = [_server(text) for text in (forwarding, telemetry)]
    try:
        for server in servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield servers[0].server_address[1], servers[1].server_address[1]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _server(text: str) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if text else 500)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


class _Cluster:
    """An API server that knows these pods: the real one takes no loopback address for an endpoint."""

    def __init__(self, *ports: tuple[int, int]) -> None:
        self._ports = ports

    async def read(self, call: Call) -> dict[str, Any]:
        assert ("labelSelector", f"kubernetes.io/service-name={LOGGING.pods_service}") in call.query
        return {"items": [_slice(number, *ports) for number, ports in enumerate(self._ports)]}


def _slice(number: int, forwarding: int, telemetry: int) -> dict[str, Any]:
    return {
        "ports": [{"name": "forwarding", "port": forwarding}, {"name": "telemetry", "port": telemetry}],
        "endpoints": [{"addresses": ["127.0.0.1"], "targetRef": {"name": f"gateway-{number}"}}],
    }


def ask(*ports: tuple[int, int]) -> GatewayReading:
    gateway = HttpLogGateway(_Cluster(*ports), LOGGING)  # type: ignore[arg-type]
    return asyncio.run(gateway.read())


def test_of_two_gateways_that_know_a_pod_the_one_that_was_told_later_counts() -> None:
    with pages(LATER) as later, pages(EARLIER) as earlier:
        for order in ((later, earlier), (earlier, later)):
            reading = ask(*order)
            assert reading.pods == (
                PodReport(
                    tenant="finance",
                    app="app",
                    pod="u1",
                    delivered=17,
                    dropped=2,
                    last_delivered=datetime.fromtimestamp(1.7e9, UTC),
                ),
            )
    assert reading.sinks == tuple(SinkState(f"gateway-{n}", "otlp_http", 3, 40) for n in range(2))


def test_a_pod_that_does_not_answer_is_passed_over_but_not_all_of_them() -> None:
    with pages(LATER) as answers, pages("", "") as broken:
        assert len(ask(answers, broken, (1, 1)).pods) == 1
        with pytest.raises(Transient, match="500"):
            ask(broken)
    with pytest.raises(Transient, match="none of its pods"):
        ask()
