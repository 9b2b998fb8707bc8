"""Writes the chart's Grafana dashboard."""

import json
from pathlib import Path
from typing import Any

from hack.dashboard import logs, platform
from hack.dashboard.panel import Panel
from hack.helm import CHART

TARGET = CHART / "monitoring" / "dashboard.json"
PANELS = (*platform.PANELS, *logs.PANELS)
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDE, _HIGH = 8, 7


def build_dashboard() -> dict[str, Any]:
    """Grafana's JSON model, panels three in a row."""
    return {
        "uid": "microapps",
        "title": "MicroApps",
        "tags": ["microapps"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data"}]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + n), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
        for n, (expression, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": {"w": _WIDE, "h": _HIGH, "x": number % 3 * _WIDE, "y": number // 3 * _HIGH},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def write_dashboard(target: Path = TARGET) -> None:
    """Write the dashboard."""
    target.write_text(json.dumps(build_dashboard(), indent=1) + "\n")
