"""What the sidecar of an app's pod is told to do. Pure.

It keeps nothing: a request is answered once the gateway has answered, so that what isn't delivered waits where it is
counted: with the launcher (docs/design/0029), or with an app that speaks OTLP itself. Imports model and form only.
"""

from collections.abc import Iterator
from typing import Any, Final

from microapp_operator.desired.forwarding.form import build_form
from microapp_operator.model.microapp import LogSource

PORT: Final = 4318
"""Where apps and launchers send to: OTLP over HTTP, on the pod's own loopback."""
HEALTH_PORT: Final = 13133
_REQUEST_MAX: Final = 4 * 2**20
"""Bytes of one request."""
_MEMORY: Final = {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20}
"""Of the container's limit; beyond it requests are refused, and come again."""
_REPORT_EVERY: Final = 30_000
"""Milliseconds between two reports of an app's that has no launcher to make them."""
_POD: Final = "${env:POD_UID}"
_SELF_TOLD: Final = {
    "otelcol_exporter_sent_log_records": "microapp.log.delivered",
    "otelcol_receiver_refused_log_records": "microapp.log.refused",
}
"""The Collector's own metrics under the names launchers use."""


def build_sidecar_config(gateway: str, source: LogSource = LogSource.STDOUT, *, port: int = PORT) -> dict[str, Any]:
    """Configuration of the Collector. gateway: URL of an OTLP/HTTP receiver, without path. port: of the loopback.

    The environment has to say POD_UID. Whatever a request says of who sent it is replaced by that.
    """
    http = {"endpoint": f"127.0.0.1:{port}", "max_request_body_size": _REQUEST_MAX}
    speaks_otlp = source is LogSource.OTLP
    processors = {"memory_limiter": _MEMORY, "transform": _transform(speaks_otlp=speaks_otlp)}
    pipeline = {"receivers": ["otlp"], "processors": list(processors), "exporters": ["otlp_http"]}
    return {
        "receivers": {"otlp": {"protocols": {"http": http}}},
        "processors": processors,
        "exporters": {
            "otlp_http": {
                "endpoint": gateway,
                "sending_queue": {"enabled": False},
                "retry_on_failure": {"enabled": False},
            }
        },
        "extensions": {"health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"logs": {"level": "warn"}, "metrics": _telemetry(port, speaks_otlp=speaks_otlp)},
            "pipelines": {"logs": pipeline, "metrics": dict(pipeline)},
        },
    }


def _transform(*, speaks_otlp: bool) -> dict[str, Any]:
    resource = {"context": "resource", "statements": list(_whose())}
    given = list(_given()) if speaks_otlp else []
    logs = {"context": "log", "error_mode": "silent", "statements": [*given, *build_form()]}
    renamed = {"context": "metric", "statements": list(_renamed())}
    metrics = [resource, renamed] if speaks_otlp else [resource]
    return {"log_statements": [resource, logs], "metric_statements": metrics}


def _whose() -> Iterator[str]:
    """Only what the launcher says of itself is left of the resource."""
    yield 'keep_keys(resource.attributes, ["microapp.log.dropped"])'
    yield f'set(resource.attributes["k8s.pod.uid"], "{_POD}")'


def _given() -> Iterator[str]:
    """Fields of an OTLP record are its attributes; a body that is JSON or an object speaks for itself."""
    fields = 'not IsMap(log.body) and not IsMatch(log.body, "^\\\\s*\\\\{")'
    yield f'set(log.cache["given"], log.attributes) where {fields}'
    yield 'delete_key(log.cache["given"], "log.record.uid") where IsMap(log.cache["given"])'
    yield 'set(log.cache["given"]["message"], log.body) where IsMap(log.cache["given"])'
    yield 'set(log.body, log.cache["given"]) where IsMap(log.cache["given"])'
    yield 'keep_keys(log.attributes, ["log.record.uid"])'
    yield 'set(log.attributes["log.record.uid"], UUIDv7()) where log.attributes["log.record.uid"] == nil'


def _renamed() -> Iterator[str]:
    for theirs, ours in _SELF_TOLD.items():
        yield f'set(metric.name, "{ours}") where metric.name == "{theirs}"'


def _telemetry(port: int, *, speaks_otlp: bool) -> dict[str, Any]:
    """With a launcher that tells how delivery fares, nobody else has to."""
    if not speaks_otlp:
        return {"level": "none"}
    otlp = {"protocol": "http/protobuf", "endpoint": f"http://127.0.0.1:{port}"}
    return {"level": "basic", "readers": [{"periodic": {"interval": _REPORT_EVERY, "exporter": {"otlp": otlp}}}]}
