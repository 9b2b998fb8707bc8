"""What the operator and the webhook show."""

from typing import Final

from hack.dashboard.panel import Panel, p99, rate

_OF_SECRET: Final = "resource_namespace, resource_name, secret"
_DEADLINE: Final = "microapp_operator_secret_rotation_deadline_timestamp_seconds"

PANELS: Final[tuple[Panel, ...]] = (
    Panel(
        "MicroApps",
        "short",
        (("max by (ready) (microapp_operator_apps)", "Ready {{ready}}"),),
        "By the status of their Ready condition; Unknown is at work or waits for an approval.",
    ),
    Panel("Leaders", "short", (("sum(microapp_operator_leader)", "leaders"),), "One, always.", kind="stat"),
    Panel(
        "Waiting",
        "short",
        (("sum(microapp_operator_queue_depth)", "MicroApps"),),
        "MicroApps that wait to be reconciled.",
    ),
    Panel(
        "Passes",
        "ops",
        ((rate("microapp_operator_reconcile_total", "outcome"), "{{outcome}}"),),
        "Passes over MicroApps, by outcome; crashed should never show.",
    ),
    Panel(
        "Time of a pass, p99",
        "s",
        (
            (p99("microapp_operator_reconcile_duration_seconds"), "pass"),
            (p99("microapp_operator_queue_latency_seconds"), "wait before it"),
        ),
        "How long a change waits for a worker, and how long the pass takes.",
    ),
    Panel(
        "Repairs",
        "ops",
        ((rate("microapp_operator_drift_total", "kind"), "{{kind}}"),),
        "Children changed behind the operator and mended.",
    ),
    Panel(
        "Writes",
        "reqps",
        (
            (rate("microapp_operator_writes_total", "kind"), "{{kind}}"),
            (rate("microapp_operator_writes_skipped_total", "reason"), "not needed: {{reason}}"),
        ),
        "Writes to the API server; a steady state has none.",
    ),
    Panel(
        "API server",
        "s",
        ((p99("microapp_operator_api_request_duration_seconds", "verb"), "{{verb}}, p99"),),
        "How long the API server takes to answer the operator.",
    ),
    Panel(
        "Watches",
        "s",
        (("max by (kind) (microapp_operator_watch_age_seconds)", "{{kind}}"),),
        "Time since each watch was heard of; bookmarks come every minute.",
    ),
    Panel(
        "Nodes where pods are confined",
        "short",
        (
            ("sum(microapp_operator_isolation_enforced)", "confined"),
            ("count(microapp_operator_isolation_enforced)", "probed"),
            (rate("microapp_operator_isolation_probes_total", "outcome"), "probes a second: {{outcome}}"),
        ),
        "By fresh pods on every node; both lines should be one.",
    ),
    Panel(
        "Fresh pods confined after, p99",
        "s",
        ((p99("microapp_operator_isolation_confined_seconds"), "p99"),),
        "How long a fresh pod reached more than it should.",
    ),
    Panel(
        "Vault",
        "reqps",
        (
            (rate("microapp_operator_store_requests_total", "code"), "{{code}}"),
            ("sum(rate(microapp_operator_store_logins_total[$__rate_interval]))", "logins"),
            ("max(microapp_operator_store_up)", "serves"),
        ),
        "Requests to Vault by answer (0: none); one login an hour is right.",
    ),
    Panel(
        "Vault's time to answer, p99",
        "s",
        ((p99("microapp_operator_store_request_duration_seconds", "operation"), "{{operation}}"),),
        "By operation.",
    ),
    Panel(
        "Secrets closest to their rotation",
        "s",
        (
            (
                f"bottomk(10, min by ({_OF_SECRET}) ({_DEADLINE}) - time())",
                "{{resource_namespace}}/{{resource_name}} {{secret}}, left",
            ),
            ("max(microapp_operator_secret_age_seconds)", "oldest"),
        ),
        "Below zero is overdue.",
    ),
    Panel(
        "Uses of secrets",
        "ops",
        (
            ("sum(rate(microapp_operator_vault_audit_lines_total[$__rate_interval]))", "lines of Vault's log"),
            ("sum(rate(microapp_operator_vault_audit_unmatched_total[$__rate_interval]))", "permitted by nothing"),
            ("sum(rate(microapp_operator_vault_audit_unanswered_total[$__rate_interval]))", "never answered"),
            ("sum(rate(microapp_operator_vault_audit_malformed_total[$__rate_interval]))", "no entry of a log"),
        ),
        "From Vault's audit log.",
    ),
    Panel(
        "What runs against the rules",
        "short",
        (
            ('sum by (severity) (microapp_policy_violations{result="fail"})', "{{severity}}"),
            ("sum(microapp_policy_not_judged)", "not judged"),
            ("max(microapp_policy_scanned_objects)", "objects looked at"),
        ),
        "Found by the scan; the MicroApps' status names each.",
    ),
    Panel(
        "Scans",
        "s",
        (
            (p99("microapp_policy_scan_duration_seconds", "scope"), "{{scope}}, p99"),
            ("time() - max(microapp_policy_last_full_scan_timestamp_seconds)", "since the last full one"),
        ),
        "Everything is looked at every ten minutes, a namespace when something in it changes.",
    ),
    Panel(
        "Scans ended",
        "ops",
        (
            (rate("microapp_policy_scans_total", "outcome"), "{{outcome}}"),
            (rate("microapp_policy_reports_refused_total", "pod"), "Reports refused"),
        ),
        "By outcome.",
    ),
    Panel(
        "Reviews",
        "reqps",
        ((rate("microapp_webhook_reviews_total", "outcome"), "{{outcome}}"),),
        "Answers of the webhook.",
    ),
    Panel(
        "Time of a review",
        "s",
        (
            (p99("microapp_webhook_review_duration_seconds"), "p99"),
            (p99("microapp_webhook_review_duration_seconds").replace("0.99", "0.5"), "p50"),
        ),
        "The API server gives up after three seconds.",
    ),
    Panel(
        "Denials",
        "ops",
        ((rate("microapp_webhook_denials_total", "rule"), "{{rule}}"),),
        "By rule; docs/policies.md has each.",
    ),
    Panel(
        "Certificate",
        "s",
        (("min(microapp_webhook_certificate_expiry_timestamp_seconds) - time()", "left"),),
        "What is left of the webhook's certificate; renewed with ten days to go.",
        kind="stat",
    ),
    Panel(
        "Bundles in force",
        "short",
        (("count by (digest) (microapp_webhook_bundle_info)", "{{digest}}"),),
        "Replicas by the policy bundle they judge by: one line.",
    ),
    Panel(
        "Watches opened again",
        "ops",
        (
            (rate("microapp_operator_watch_restarts_total", "cause"), "operator: {{cause}}"),
            (rate("microapp_webhook_watch_restarts_total", "cause"), "webhook: {{cause}}"),
        ),
        "By cause.",
    ),
)
