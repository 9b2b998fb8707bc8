"""Where the gateway sends to: its second configuration, of which the chart's template makes the same. Pure.

Imports identity, ottl and redaction. Each sink has a pipeline, an exporter and a queue on disk of its own, so that one
that is down holds up no other; a pipeline starts at the connector ``forward`` of the first configuration, which also
has the processors named here. Credentials are environment variables. collector/steadfast, by which every exporter asks
again after a refusal, is in no other Collector than ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from microapp_operator.desired.forwarding.identity import CLASS, WHO
from microapp_operator.desired.forwarding.ottl import group, quoted
from microapp_operator.desired.forwarding.redaction import UID

FORWARD: Final = "forward"
STORAGE: Final = "file_storage/queue"
EXTENSIONS: Final = ("health_check", STORAGE)
"""What the first configuration starts; of a list the second has to say all, since it takes the place of the first's."""
_STEADFAST: Final = "steadfast"
_PRODUCT: Final = "steadfast/elasticsearch"
"""Of a sink that always says who it is; what doesn't isn't one, and the exporter would throw its records away."""
_ASKED_BY: Final[dict[str, dict[str, Any]]] = {
    _STEADFAST: {},
    _PRODUCT: {"answers_with": {"X-Elastic-Product": "Elasticsearch"}},
}
_KEPT: Final = [401, 403, 404, 408, 429, 500, 502, 503, 504, 507]
"""Answers to one record of many after which it is sent again: those that aren't about the record."""
_FOREVER: Final = {"enabled": True, "initial_interval": "1s", "max_interval": "30s", "max_elapsed_time": 0}
_BATCH: Final = {"sizer": "bytes", "flush_timeout": "200ms", "min_size": 2**16, "max_size": 2**21}
"""Taken from the queue together, and deleted from it once delivered. A record may have half of the most (record)."""


@dataclass(frozen=True)
class Sink:
    """One SIEM. kind: the exporter's type, and its name where another has the same. shaped: a processor comes first.

    asked_by: the extension that has it asked again after a refusal.
    """

    kind: str
    exporter: dict[str, Any]
    shaped: bool = False
    asked_by: str = _STEADFAST

    @property
    def name(self) -> str:
        """Of its pipeline and processor."""
        return self.kind.rpartition("/")[2]


def build_sinks(*sinks: Sink, queue_bytes: int) -> dict[str, Any]:
    """The configuration. queue_bytes: room of each queue; a full one refuses at once, and the sender keeps the record.

    To block instead would hold the request until the sender's patience ends, and put it into the queue after that.
    """
    used = sorted({sink.asked_by for sink in sinks})
    return {
        "extensions": {name: _ASKED_BY[name] for name in used},
        "exporters": {sink.kind: {**sink.exporter, **_added(sink, queue_bytes)} for sink in sinks},
        "service": {
            "extensions": [*EXTENSIONS, *used],
            "pipelines": {f"logs/{sink.name}": _pipeline(sink) for sink in sinks},
        },
    }


def build_shapes() -> dict[str, Any]:
    """The processors that sinks need: of the first configuration, so that the second is short."""
    known = 'log.attributes["elasticsearch.document_id"]'
    shapes = {
        "datadog": [group("resource", _named()), group("log", [*_flattened(), *_tagged()])],
        "elasticsearch": [
            group("log", [f'set({known}, Concat([resource.attributes["k8s.pod.uid"], log.attributes["{UID}"]], "-"))']),
        ],
    }
    return {
        f"transform/{name}": {"error_mode": "propagate", "log_statements": statements}
        for name, statements in shapes.items()
    }


def build_otlp(endpoint: str, headers: dict[str, str] | None = None) -> Sink:
    """OTLP over HTTP. endpoint: URL without path. headers: values may be "${env:NAME}"."""
    return Sink("otlp_http", _over_http(endpoint, headers))


def build_datadog(site: str, key: str = "${env:DATADOG_API_KEY}", *, endpoint: str = "") -> Sink:
    """Datadog's own OTLP intake. endpoint: of another intake than the site's, as http://host:port.

    It takes 5.1 MiB at once, uncompressed. The time of a record goes into a field of its own: what says it is older
    than 18 hours may be thrown away behind a success, and nobody knows how long a record waits.
    """
    headers = {"dd-api-key": key}
    return Sink("otlp_http/datadog", _over_http(endpoint or f"https://otlp.{site}", headers), shaped=True)


def build_splunk(endpoint: str, index: str, token: str = "${env:SPLUNK_HEC_TOKEN}") -> Sink:  # noqa: S107 - no secret
    """Splunk's HTTP Event Collector. endpoint: its URL, with /services/collector."""
    said = {"token": token, "endpoint": endpoint, "index": index, "source": "microapp", "sourcetype": "_json"}
    metadata = {"otel_attrs_to_hec_metadata": {"host": "k8s.pod.name"}, "profiling_data_enabled": False}
    return Sink("splunk_hec", {**said, **metadata, "retry_on_failure": _FOREVER})


def build_elasticsearch(endpoint: str, index: str, key: str = "${env:ELASTICSEARCH_API_KEY}") -> Sink:
    """Elasticsearch's bulk API; a record that comes twice has the same id, and is kept once.

    It has tries of its own instead of the usual ones, and gives up after them: there are many.
    """
    tries = {"enabled": True, "initial_interval": "1s", "max_interval": "30s", "max_retries": 10**6}
    return Sink(
        "elasticsearch",
        {
            "endpoints": [endpoint],
            "api_key": key,
            "logs_index": index,
            "logs_dynamic_id": {"enabled": True},
            "suppress_conflict_errors": True,
            "retry": {**tries, "retry_on_status": [429, 502, 503, 504], "retry_on_document_status": _KEPT},
        },
        shaped=True,
        asked_by=_PRODUCT,
    )


def _added(sink: Sink, queue_bytes: int) -> dict[str, Any]:
    return {"middlewares": [{"id": sink.asked_by}], "sending_queue": _queue(queue_bytes)}


def _over_http(endpoint: str, headers: dict[str, str] | None) -> dict[str, Any]:
    said = {"headers": headers} if headers else {}
    return {"endpoint": endpoint, **said, "retry_on_failure": _FOREVER}


def _pipeline(sink: Sink) -> dict[str, Any]:
    shape = {"processors": [f"transform/{sink.name}"]} if sink.shaped else {}
    return {"receivers": [FORWARD], **shape, "exporters": [sink.kind]}


def _named() -> list[str]:
    return [
        f'set(resource.attributes["service.name"], resource.attributes["{WHO[0]}"])',
        'set(resource.attributes["datadog.log.source"], "microapp")',
    ]


def _flattened() -> list[str]:
    message = 'log.attributes["message"]'
    return [
        'merge_maps(log.attributes, log.body, "upsert")',
        'set(log.attributes["event_time"], log.body["timestamp"])',
        'delete_key(log.attributes, "timestamp")',
        f'set({message}, log.body["action"]) where {message} == nil and log.body["action"] != nil',
        'set(log.body, "")',
        f"set(log.body, {message}) where {message} != nil",
        'delete_key(log.attributes, "message")',
        "set(log.time_unix_nano, 0)",
        "set(log.observed_time_unix_nano, 0)",
    ]


def _tagged() -> Iterator[str]:
    tags = 'log.attributes["ddtags"]'
    yield f'set({tags}, "origin:microapp")'
    for name in (*WHO, *CLASS):
        value, tag = f'resource.attributes["{name}"]', quoted(f"{name.removeprefix('microapp.')}:")
        yield f'set({tags}, Concat([{tags}, ",", {tag}, {value}], "")) where {value} != nil'


def _queue(room: int) -> dict[str, Any]:
    return {
        "enabled": True,
        "storage": STORAGE,
        "sizer": "bytes",
        "queue_size": room,
        "num_consumers": 4,
        "block_on_overflow": False,
        "batch": _BATCH,
    }
