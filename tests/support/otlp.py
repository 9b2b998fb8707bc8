"""Who takes records in tests: refuses, hangs and rejects on demand, which a real one does only by chance."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from tests.support.httpserver import HttpServer, Response

Answer = tuple[int, bytes]
"""Status and body (opentelemetry-proto, ExportLogsServiceResponse, in JSON)."""
_TAKEN: Answer = (200, b"{}")


@dataclass
class Receiver(HttpServer):
    """An OTLP/HTTP receiver. port: 0 for a free one. answer: what it says to a request; may take its time.

    answer_report: the same to metrics, which are kept in reports. headers: of its answers. resources: ResourceLogs as
    they came.
    """

    port: int = 0
    answer: Callable[[], Answer] = lambda: _TAKEN
    answer_report: Callable[[], Answer] = lambda: _TAKEN
    headers: dict[str, str] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0
    reports: list[dict[str, dict[str, Any]]] = field(default_factory=list)

    def respond(self, path: str, headers: Message, body: bytes) -> Response:
        status, said = self._take(path, self.read(headers, body))
        return status, self.headers, said

    def read(self, headers: Message, sent: bytes) -> dict[str, Any]:
        """A request in the form it has in JSON."""
        assert headers["Content-Type"] == "application/json"
        said: dict[str, Any] = json.loads(sent)
        return said

    def clear(self) -> None:
        """Forget what came."""
        self.records.clear()
        self.resources.clear()

    def lines(self) -> list[str]:
        """What the records say, as they were written."""
        return [record["body"]["stringValue"] for record in self.records]

    def bodies(self) -> list[dict[str, Any]]:
        """What the records say, once they have a form."""
        return [value(record["body"]) for record in self.records]

    def ids(self) -> list[str]:
        """By which a record is known."""
        return [plain(record["attributes"])["log.record.uid"] for record in self.records]

    def _take(self, path: str, sent: dict[str, Any]) -> Answer:
        """opentelemetry-proto, "OTLP/HTTP Request": which path is for what."""
        if path == "/v1/metrics":
            status, body = self.answer_report()
            if status == 200:
                self.reports.append(metrics(sent))
            return status, body
        assert path == "/v1/logs"
        status, body = self.answer()
        self.resources += sent["resourceLogs"] if status == 200 else ()
        for logs in sent["resourceLogs"] if status == 200 else ():
            self.records += (record for scope in logs["scopeLogs"] for record in scope["logRecords"])
            self.dropped = int(plain(logs["resource"].get("attributes", [])).get("microapp.log.dropped", 0))
        return status, body


def metrics(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics of an ExportMetricsServiceRequest by name."""
    return {
        metric["name"]: metric
        for resource in request["resourceMetrics"]
        for scope in resource["scopeMetrics"]
        for metric in scope["metrics"]
    }


def number(metric: dict[str, Any]) -> float:
    """What the only point of a metric says."""
    (point,) = (metric.get("sum") or metric["gauge"])["dataPoints"]
    return float(point["asInt"] if "asInt" in point else point["asDouble"])


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """KeyValues (opentelemetry-proto, common.proto) as a dict; 64-bit integers stay texts, as JSON has them."""
    return {each["key"]: value(each["value"]) for each in attributes}


def value(any_value: dict[str, Any]) -> Any:
    """What an AnyValue holds."""
    for kind, held in any_value.items():
        if kind == "kvlistValue":
            return plain(held["values"])
        return [value(each) for each in held.get("values", ())] if kind == "arrayValue" else held
    return None
