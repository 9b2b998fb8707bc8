"""What the log gateway shows, and what launchers and forwarders tell it."""

from typing import Final

from hack.dashboard.panel import Panel, rate

_OF_APP: Final = "tenant_id, app_id"
_OF_GATEWAY: Final = '{job="microapp-log-gateway"}'
_QUEUED: Final = '{job="microapp-log-gateway", data_type="logs"}'

PANELS: Final[tuple[Panel, ...]] = (
    Panel(
        "MicroApps' logs",
        "short",
        (("max by (status) (microapp_operator_apps_log_forwarding)", "LogForwarding {{status}}"),),
        "By the status of their LogForwarding condition.",
    ),
    Panel(
        "Records taken",
        "ops",
        ((rate("microapp_log_records_total", "tenant_id"), "{{tenant_id}}"),),
        "By the log gateway, by tenant; again those that came again.",
    ),
    Panel(
        "Records delivered to sinks",
        "ops",
        (
            (rate("otelcol_exporter_sent_log_records_total", "exporter", _OF_GATEWAY), "{{exporter}}"),
            (
                rate("otelcol_exporter_send_failed_log_records_total", "exporter", _OF_GATEWAY),
                "refused by {{exporter}}",
            ),
            (
                rate("microapp_log_sink_rejected_total", "server_address", _OF_GATEWAY),
                "of requests that {{server_address}} took",
            ),
        ),
        "Refused is lost.",
    ),
    Panel(
        "Since a record was read back",
        "s",
        (
            ("time() - min by (sink) (microapp_log_canary_read_back_time_seconds)", "{{sink}}"),
            ("max by (sink) (microapp_log_canary_delay_seconds)", "{{sink}} took"),
        ),
        "From the backends that are asked: how old the newest canary is that was found there, and how long that took.",
    ),
    Panel(
        "Canaries given up",
        "ops",
        (
            ("sum(rate(microapp_log_canary_sent_total[$__rate_interval]))", "sent"),
            (rate("microapp_log_canary_failures_total", "sink, why"), "{{sink}}: {{why}}"),
        ),
        "By sink, with why.",
    ),
    Panel(
        "What sinks say of the canary",
        "short",
        (("max by (sink, answer) (microapp_log_canary_answer)", "{{sink}}: {{answer}}"),),
        "The last answer of each backend that is asked.",
    ),
    Panel(
        "Refusals of sinks",
        "ops",
        (
            (
                rate("microapp_log_sink_refusals_total", "server_address, status", _OF_GATEWAY),
                "{{status}} from {{server_address}}",
            ),
        ),
        "Requests of many records each. After 400 and 413 these are lost, after all else the sink is asked again.",
    ),
    Panel(
        "Waiting for sinks",
        "percentunit",
        (
            (
                f"max by (exporter) (otelcol_exporter_queue_size{_QUEUED} / otelcol_exporter_queue_capacity{_QUEUED})",
                "{{exporter}}",
            ),
        ),
        "Of the room on the log gateway's disk.",
    ),
    Panel(
        "Records not taken",
        "ops",
        (
            (
                rate("otelcol_exporter_enqueue_failed_log_records_total", "exporter", _OF_GATEWAY),
                "{{exporter}} is full",
            ),
            (rate("otelcol_receiver_refused_log_records_total", "receiver", _OF_GATEWAY), "{{receiver}}"),
        ),
        "By the log gateway, for now: their senders keep them and try again.",
    ),
    Panel(
        "Records waiting in pods",
        "short",
        (
            (f"topk(10, sum by ({_OF_APP}) (microapp_log_backlog))", "{{tenant_id}}/{{app_id}}"),
            ("sum(rate(microapp_log_delivered_total[$__rate_interval]))", "delivered a second"),
            ("sum(rate(microapp_log_dropped_total[$__rate_interval]))", "dropped a second"),
        ),
        "The ten apps with the most, and what all pods say of themselves.",
    ),
    Panel(
        "Pods that wait longest",
        "s",
        (
            (
                f"topk(10, time() - min by ({_OF_APP}) (microapp_log_backlog_since_time_seconds))",
                "{{tenant_id}}/{{app_id}}, waiting",
            ),
            ("time() - max(microapp_log_last_delivered_time_seconds)", "since anybody delivered"),
        ),
        "To deliver to the log gateway.",
    ),
    Panel(
        "Records changed",
        "ops",
        (
            ("sum(rate(microapp_log_redacted_total[$__rate_interval]))", "redacted"),
            ("sum(rate(microapp_log_identity_corrected_total[$__rate_interval]))", "said to be another's"),
            ("sum(rate(microapp_log_trace_invalid_total[$__rate_interval]))", "without a valid trace"),
            ("sum(rate(microapp_log_truncated_total[$__rate_interval]))", "cut off"),
        ),
        "By the log gateway.",
    ),
)
