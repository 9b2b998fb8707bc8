"""What the platform's log gateway is told to do, all but where it sends to (sinks). Pure; imports its neighbours.

Written to charts/microapp-operator/logging/gateway.yaml as it is: what differs between installations are environment
variables (POD_NAMESPACE, REDACTION_KEY) and the second file. One way for records of apps, one for those of the
platform; both end at the connector ``forward``, from which each sink's pipeline starts. Nothing on the way keeps
anything: a request is answered when every sink's queue has it on disk.
"""

from typing import Any, Final

from microapp_operator.desired.forwarding.form import TRACE_INVALID
from microapp_operator.desired.forwarding.forwarded import build_counted, build_forwarded, build_forwarding_filter
from microapp_operator.desired.forwarding.identity import (
    CLASS,
    DROPPED,
    POD,
    WHO,
    build_claimed,
    build_forgotten,
    build_identity,
    build_named_platform,
    build_pods_of_apps,
    build_pods_of_platform,
    build_refusal,
)
from microapp_operator.desired.forwarding.ottl import group
from microapp_operator.desired.forwarding.record import build_formed, build_limited, build_whole
from microapp_operator.desired.forwarding.redaction import (
    CORRECTED,
    REDACTED,
    TRUNCATED,
    build_marked,
    build_redaction,
)
from microapp_operator.desired.forwarding.sinks import EXTENSIONS, FORWARD, STORAGE, build_shapes

PORT: Final = 4318
PLATFORM_PORT: Final = 4319
TELEMETRY_PORT: Final = 8888
FORWARDING_PORT: Final = 8889
HEALTH_PORT: Final = 13133
QUEUE_DIRECTORY: Final = "/var/lib/microapp-log-gateway"
"""Where the queues are: on a volume with twice the room of all of them, because the start copies what is left."""
_REQUEST_MAX: Final = 4 * 2**20
"""Bytes of one request, decompressed. A launcher sends half a megabyte at once."""
_MEMORY: Final = {"check_interval": "1s", "limit_percentage": 75, "spike_limit_percentage": 20}
"""Of the container's limit; beyond it requests are refused, and come again."""
_COUNTS: Final = {
    "microapp.log.records": ("Records taken; again those that came again.", ""),
    "microapp.log.identity.corrected": ("Records that claimed to be of another app or tenant.", CORRECTED),
    "microapp.log.redacted": ("Records of which a part was replaced.", REDACTED),
    "microapp.log.trace.invalid": ("Records with a trace that is none.", TRACE_INVALID),
    "microapp.log.truncated": ("Records with a text that was cut off.", TRUNCATED),
}


def build_gateway_config() -> dict[str, Any]:
    """The Collector's configuration; it needs another with a pipeline that starts at the connector ``forward``."""
    return {
        "receivers": {"otlp/apps": _receiver(PORT), "otlp/platform": _receiver(PLATFORM_PORT)},
        "processors": _processors(),
        "connectors": {FORWARD: {}, "count": {"logs": _counts()}},
        "exporters": {
            "prometheus": {
                "endpoint": f":{FORWARDING_PORT}",
                "metric_expiration": "2m",
                # By when a pod told it: who asks two gateways has to know which is told it still.
                "send_timestamps": True,
                "resource_to_telemetry_conversion": {"enabled": True},
                "without_scope_info": True,
                # One after the other: what the exporter adds up, it adds up without a lock.
                "sending_queue": {"enabled": True, "num_consumers": 1, "queue_size": 10_000},
            }
        },
        "extensions": {
            "health_check": {"endpoint": f":{HEALTH_PORT}"},
            STORAGE: {
                "directory": QUEUE_DIRECTORY,
                "create_directory": True,
                "fsync": True,
                "compaction": {
                    "directory": QUEUE_DIRECTORY,
                    "on_start": True,
                    "cleanup_on_start": True,
                },
            },
        },
        "service": {"extensions": list(EXTENSIONS), "telemetry": _telemetry(), "pipelines": _pipelines()},
    }


def _receiver(port: int) -> dict[str, Any]:
    return {"protocols": {"http": {"endpoint": f":{port}", "max_request_body_size": _REQUEST_MAX}}}


def _processors() -> dict[str, Any]:
    return {
        "memory_limiter": _MEMORY,
        "transform/claimed": _on_resources(build_claimed(), "log_statements", "metric_statements"),
        "k8s_attributes/apps": build_pods_of_apps(),
        "k8s_attributes/platform": build_pods_of_platform("${env:POD_NAMESPACE}"),
        "transform/apps": _on_resources(build_refusal(claim=True), "log_statements", "metric_statements"),
        "transform/platform": _on_resources(
            [*build_named_platform(), *build_refusal(claim=False)],
            "log_statements",
        ),
        "transform/whole": {"log_statements": build_whole()},
        "transform/record": {"error_mode": "propagate", "log_statements": _record()},
        "transform/limited": {"error_mode": "propagate", "log_statements": [build_limited()]},
        "redaction": build_redaction("${env:REDACTION_KEY}", (*POD, *WHO, *CLASS, DROPPED)),
        "filter/forwarding": build_forwarding_filter(),
        "transform/forwarding": build_forwarded(),
        "transform/counted": build_counted(),
        **build_shapes(),
    }


def _record() -> list[dict[str, Any]]:
    named = [f'set(scope.{what}, "")' for what in ("name", "version", "schema_url")]
    return [
        group("scope", [*named, "keep_keys(scope.attributes, [])"]),
        *build_formed(),
        group("log", build_identity()),
        group("resource", build_forgotten()),
        *build_marked(f'resource.attributes["{WHO[1]}"]'),
    ]


def _on_resources(statements: list[str], *signals: str) -> dict[str, Any]:
    return {"error_mode": "propagate", **{signal: [group("resource", statements)] for signal in signals}}


def _counts() -> dict[str, Any]:
    return {
        name: {"description": text, **({"conditions": [f'attributes["{mark}"] == true']} if mark else {})}
        for name, (text, mark) in _COUNTS.items()
    }


def _telemetry() -> dict[str, Any]:
    page = {"host": "0.0.0.0", "port": TELEMETRY_PORT, "without_type_suffix": False}  # noqa: S104
    return {
        "logs": {"level": "info", "encoding": "json", "disable_stacktrace": True},
        "metrics": {"level": "normal", "readers": [{"pull": {"exporter": {"prometheus": page}}}]},
    }


def _pipelines() -> dict[str, Any]:
    made = ["transform/record", "redaction", "transform/limited"]
    return {
        "logs/apps": {
            "receivers": ["otlp/apps"],
            "processors": ["memory_limiter", "transform/claimed", "k8s_attributes/apps", "transform/apps", *made],
            "exporters": [FORWARD, "count"],
        },
        "logs/platform": {
            "receivers": ["otlp/platform"],
            "processors": [
                "memory_limiter",
                "transform/claimed",
                "k8s_attributes/platform",
                "transform/platform",
                "transform/whole",
                *made,
            ],
            "exporters": [FORWARD, "count"],
        },
        "metrics/apps": {
            "receivers": ["otlp/apps"],
            "processors": [
                "memory_limiter",
                "transform/claimed",
                "k8s_attributes/apps",
                "transform/apps",
                "filter/forwarding",
                "transform/forwarding",
            ],
            "exporters": ["prometheus"],
        },
        "metrics/counted": {
            "receivers": ["count"],
            "processors": ["transform/counted"],
            "exporters": ["prometheus"],
        },
    }
