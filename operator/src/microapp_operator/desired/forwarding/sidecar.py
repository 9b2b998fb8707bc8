"""What the sidecar of an app's pod is told to do. Pure.

It keeps nothing: a request is answered once the gateway has answered, so that what isn't delivered waits where it is
counted, with the launcher (docs/design/0029). Imports form only.
"""

from typing import Any, Final

from microapp_operator.desired.forwarding.form import build_form

PORT: Final = 4318
"""Where apps and launchers send to: OTLP over HTTP, on the pod's own loopback."""
_REQUEST_MAX: Final = 4 * 2**20
"""Bytes of one request."""
_MEMORY: Final = {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20}
"""Of the container's limit; beyond it requests are refused, and come again."""


def build_sidecar_config(gateway: str, *, port: int = PORT) -> dict[str, Any]:
    """Configuration of the Collector. gateway: URL of an OTLP/HTTP receiver, without path. port: of the loopback."""
    http = {"endpoint": f"127.0.0.1:{port}", "max_request_body_size": _REQUEST_MAX}
    statements = {"context": "log", "error_mode": "silent", "statements": build_form()}
    return {
        "receivers": {"otlp": {"protocols": {"http": http}}},
        "processors": {"memory_limiter": _MEMORY, "transform": {"log_statements": [statements]}},
        "exporters": {
            "otlp_http": {
                "endpoint": gateway,
                "sending_queue": {"enabled": False},
                "retry_on_failure": {"enabled": False},
            }
        },
        "service": {
            "telemetry": {"logs": {"level": "warn"}, "metrics": {"level": "none"}},
            "pipelines": {
                "logs": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "transform"],
                    "exporters": ["otlp_http"],
                }
            },
        },
    }
