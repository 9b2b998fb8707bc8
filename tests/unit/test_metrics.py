"""The operator's metrics say what was done, under names of the conventions."""

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from microapp_operator.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    """Every metric, each touched once."""
    metrics = Metrics(CollectorRegistry(), version="1.2.3")
    metrics.track_queue(lambda: 7)
    metrics.queued(0.2)
    metrics.reconciled("done", 0.1)
    metrics.requested("PATCH", "deployments", 200, 0.01)
    metrics.requested("GET", "pods", 0, 5.0)
    metrics.skipped("child_unchanged", 11)
    metrics.track_watch("Service", lambda: 4.5)
    metrics.watch_restarted("Service", "gone")
    metrics.leading(True)
    metrics.event_dropped()
    metrics.probed("node-1", "passed")
    metrics.confined(0.2)
    metrics.drift("NetworkPolicy", "DriftRepaired")
    metrics.app_state("finance", "expenses", "Unknown", "Unknown")
    return metrics


def families(metrics: Metrics) -> list[Metric]:
    return list(metrics.registry.collect())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"microapp_operator_{name}", labels)


def test_metric_names_follow_the_conventions(metrics: Metrics) -> None:
    assert families(metrics)
    for family in families(metrics):
        assert re.fullmatch(r"microapp_operator_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"_(ms|milliseconds|minutes|mb|percent)\b", family.name)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        for sample in family.samples:
            if family.type == "counter" and not sample.name.endswith("_created"):
                assert sample.name.endswith("_total")
            if family.type == "gauge":
                assert not sample.name.endswith(("_total", "_count", "_sum", "_bucket"))
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels)


def test_metrics_count_what_they_are_told(metrics: Metrics) -> None:
    assert value(metrics, "queue_depth") == 7
    assert value(metrics, "reconcile_total", outcome="done") == 1
    assert value(metrics, "reconcile_total", outcome="crashed") == 0
    assert value(metrics, "writes_total", verb="PATCH", kind="deployments", code="200") == 1
    assert value(metrics, "writes_total", verb="GET", kind="pods", code="0") is None
    assert value(metrics, "api_requests_total", verb="GET", code="0") == 1
    assert value(metrics, "writes_skipped_total", reason="child_unchanged") == 11
    assert value(metrics, "watch_age_seconds", kind="Service") == 4.5
    assert value(metrics, "leader") == 1
    assert value(metrics, "drift_total", kind="NetworkPolicy", cause="DriftRepaired") == 1
    assert b'microapp_operator_build_info{python="' in generate_latest(metrics.registry)


def test_an_app_is_counted_once_under_its_latest_state(metrics: Metrics) -> None:
    metrics.app_state("finance", "expenses", "True", "False")
    metrics.app_state("finance", "other", "True", "True")
    metrics.app_state("finance", "other", "True", "True")
    assert [value(metrics, "apps", ready=ready) for ready in ("True", "False", "Unknown")] == [2, 0, 0]
    forwarding = [value(metrics, "apps_log_forwarding", status=status) for status in ("True", "False", "Unknown")]
    assert forwarding == [1, 1, 0]
    metrics.app_gone("finance", "expenses")
    metrics.app_gone("finance", "expenses")
    assert value(metrics, "apps", ready="True") == 1


def test_two_sets_of_metrics_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.leading(True)
    assert value(second, "leader") == 0
