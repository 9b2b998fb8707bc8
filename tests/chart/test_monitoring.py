"""Alerts and dashboard, held against the metrics the processes have."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest
import yaml
from hack.dashboard import TARGET, build_dashboard
from hack.helm import CHART
from hack.install import ROOT
from prometheus_client import CollectorRegistry
from tests.support.logmetrics import CANARY, FORWARDING, PARTLY, TELEMETRY

from microapp_operator.admission.metrics import WebhookMetrics
from microapp_operator.metrics import Metrics
from microapp_operator.scan.board import Board
from microapp_operator.scan.metrics import ScanMetrics
from microapp_operator.vaultlog import Transformer
from microapp_operator.wiring.vault_audit import Tallies

RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = [
    rule
    for group in yaml.safe_load((CHART / "monitoring" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
QUERIES = [t["expr"] for panel in json.loads(TARGET.read_text())["panels"] for t in panel["targets"]]
SCRAPED = {"namespace", "pod", "job", "endpoint"}
"""Labels that Prometheus adds to whatever it scrapes."""
OWN: dict[str, set[str]] = {"up": set()}
"""What Prometheus itself says of what it scrapes."""


def series() -> dict[str, set[str]]:
    """Name of each series, as scraped, to its labels."""
    suffixes = {"counter": ["_total"], "info": ["_info"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    operator, audit = Metrics().registry, CollectorRegistry()
    ScanMetrics(operator, Board())
    audit.register(Tallies(Transformer(lambda *_: None)))
    found = {**OWN, **TELEMETRY, **PARTLY, **CANARY, **FORWARDING}
    for registry in (operator, WebhookMetrics().registry, audit):
        for collector, names in registry._collector_to_names.items():
            for family in collector.describe():
                labels = set(getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ()))
                for suffix in suffixes[family.type]:
                    name = f"{family.name}{suffix}"
                    assert name in names, f"{name} isn't what the registry calls it"
                    extra = {"_bucket": {"le"}, "_info": INFO.get(name, set())}.get(suffix, set())
                    found[name] = labels | extra
    return found


INFO = {"microapp_operator_build_info": {"version", "python"}, "microapp_webhook_bundle_info": {"digest"}}
"""Labels of the metrics of type info, which are given with their value."""


def selectors(node: Any) -> Iterator[Any]:
    """Every vector selector below ``node``."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr | promql.VectorSelector):
            yield from selectors(child)
    for child in getattr(node, "args", ()) or ():
        yield from selectors(child)


def groupings(node: Any) -> Iterator[set[str]]:
    """The labels of every ``by`` below ``node``."""
    if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
        yield set(node.modifier.labels)
    for name in ("expr", "lhs", "rhs", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr):
            yield from groupings(child)
    for child in getattr(node, "args", ()) or ():
        yield from groupings(child)


def parsed(expression: str) -> Any:
    """``expression`` with a range where Grafana puts one in."""
    return promql.parse(expression.replace("$__rate_interval", "5m"))


@pytest.mark.parametrize("expression", [a["expr"] for a in ALERTS] + QUERIES)
def test_every_metric_and_label_asked_for_exists(expression: str) -> None:
    tree, known = parsed(expression), series()
    found = list(selectors(tree))
    assert found
    labels: set[str] = set()
    for selector in found:
        assert selector.name in known, f"nobody has {selector.name}"
        labels |= known[selector.name]
        assert {m.name for m in selector.matchers.matchers} <= known[selector.name] | SCRAPED
    for grouping in groupings(tree):
        assert grouping <= labels | SCRAPED


@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: a["alert"])
def test_every_alert_has_a_page_that_says_where_to_look_and_how_to_mend(alert: dict[str, Any]) -> None:
    page = (RUNBOOKS / f"{alert['alert']}.md").read_text()
    assert page.startswith(f"# {alert['alert']}\n")
    assert re.findall("^## (.*)$", page, re.MULTILINE) == ["Look", "Mend"]
    assert {"summary", "description"} == set(alert["annotations"])
    assert alert["labels"]["severity"] in ("critical", "warning", "info")


def test_every_page_is_of_an_alert_and_names_alerts_that_exist() -> None:
    names = {alert["alert"] for alert in ALERTS}
    assert {p.stem for p in RUNBOOKS.glob("*.md")} == names
    for page in RUNBOOKS.glob("*.md"):
        assert (
            set(
                re.findall(
                    r"\bMicroApp\w*(?:Down|Leaders?|Stale|Slow|Errors|Storm|Refused|Overdue|Unmatched|Delivered|Dropped|Forged)\b",
                    page.read_text(),
                )
            )
            <= names
        )


def test_the_dashboard_is_what_the_panels_give() -> None:
    assert json.loads(TARGET.read_text()) == build_dashboard()


def test_every_metric_an_admin_can_act_on_is_on_the_dashboard_or_in_an_alert() -> None:
    shown = {s.name for e in [a["expr"] for a in ALERTS] + QUERIES for s in selectors(parsed(e))}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in series()}
    unseen = {f for f in families if not any(s.startswith(f) for s in shown)}
    assert unseen == {"microapp_operator_events_dropped_total"}
