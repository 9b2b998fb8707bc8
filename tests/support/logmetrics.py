"""What Prometheus finds at the log gateway, for alerts and dashboard: names and labels that the Collector makes."""

import re
from collections.abc import Iterable
from typing import Final

_SENT: Final = {"exporter"}
_QUEUE: Final = {"exporter", "data_type"}
_APP: Final = {"app_id", "tenant_id"}
_POD: Final = _APP | {"k8s_pod_name", "k8s_pod_uid"}
TELEMETRY: Final = {
    "otelcol_exporter_queue_size": _QUEUE,
    "otelcol_exporter_queue_capacity": _QUEUE,
    "otelcol_exporter_sent_log_records_total": _SENT,
    "otelcol_exporter_send_failed_log_records_total": _SENT,
    "otelcol_exporter_enqueue_failed_log_records_total": _SENT,
    "otelcol_receiver_refused_log_records_total": {"receiver"},
    "microapp_log_sink_refusals_total": {"server_address", "status"},
}
"""Its own, at port 8888: each series to labels it has; there are others."""
PARTLY: Final = {
    "microapp_log_sink_rejected_total": {"server_address"},
    "otelcol_elasticsearch_docs_processed_total": {"outcome", "http_response_status_code"},
}
"""There, too, once a sink has refused some records of a request that it took."""
_CANARY: Final = {"sink"}
CANARY: Final = {
    "microapp_log_canary_sent_total": set[str](),
    "microapp_log_canary_deadline_seconds": _CANARY,
    "microapp_log_canary_read_back_time_seconds": _CANARY,
    "microapp_log_canary_delay_seconds": _CANARY,
    "microapp_log_canary_missing_since_time_seconds": _CANARY,
    "microapp_log_canary_answer": {"sink", "answer"},
    "microapp_log_canary_failures_total": {"sink", "why"},
}
"""Of the canary, at port 8890."""
FORWARDING: Final = {
    "microapp_log_delivered_total": _POD,
    "microapp_log_dropped_total": _POD,
    "microapp_log_backlog": _POD,
    "microapp_log_last_delivered_time_seconds": _POD,
    "microapp_log_backlog_since_time_seconds": _POD,
    "microapp_log_records_total": _APP,
    "microapp_log_identity_corrected_total": _APP,
    "microapp_log_redacted_total": _APP,
    "microapp_log_trace_invalid_total": _APP,
    "microapp_log_truncated_total": _APP,
}
"""Of the apps' records, at port 8889."""


def labels_of(page: Iterable[str], name: str) -> set[str]:
    """Those that all series ``name`` of a page have."""
    found = [set(re.findall(r'(\w+)="', series)) for series in page if series.partition("{")[0] == name]
    assert found, f"there is no {name}"
    return set.intersection(*found)
