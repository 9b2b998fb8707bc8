"""What of forwarding is measured: what launchers and sidecars say of themselves, and what the gateway counts. Pure.

Imports identity and ottl only. An app can send metrics as well as records, so nothing of what it sends is kept but the
numbers of those below: name, unit, labels and time are given here.
"""

from typing import Any, Final

from microapp_operator.desired.forwarding.identity import POD, WHO
from microapp_operator.desired.forwarding.ottl import group, listed

DELIVERED: Final = "microapp.log.delivered"
LOST: Final = "microapp.log.dropped"
REFUSED: Final = "microapp.log.refused"
BACKLOG: Final = "microapp.log.backlog"
LAST_DELIVERED: Final = "microapp.log.last_delivered_time"
BACKLOG_SINCE: Final = "microapp.log.backlog_since_time"
_SUMS: Final = {
    DELIVERED: ("{record}", "Records that the gateway has taken."),
    LOST: ("{record}", "Records for which there was no room."),
    REFUSED: ("{record}", "Records that an app that speaks OTLP was given back."),
}
_GAUGES: Final = {
    BACKLOG: ("{record}", "Records that wait."),
    LAST_DELIVERED: ("s", "When a record was last delivered."),
    BACKLOG_SINCE: ("s", "Since when records have been waiting."),
}


def build_forwarding_filter() -> dict[str, Any]:
    """The filter processor's configuration: what isn't forwarding's is dropped."""
    added_up = "metric.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE"
    kept = [
        *(f"{_is(name, 'SUM')} and {added_up}" for name in _SUMS),
        *(_is(name, "GAUGE") for name in _GAUGES),
    ]
    return {"error_mode": "propagate", "metrics": {"metric": [f"not ({' or '.join(f'({each})' for each in kept)})"]}}


def build_forwarded() -> dict[str, Any]:
    """The transform processor's configuration for those: labels that say which pod of which app, and when they came."""
    units = [
        statement
        for name, (unit, text) in (_SUMS | _GAUGES).items()
        for statement in (
            f'set(metric.unit, "{unit}") where metric.name == "{name}"',
            f'set(metric.description, "{text}") where metric.name == "{name}"',
        )
    ]
    monotonic = "set(metric.is_monotonic, true) where metric.type == METRIC_DATA_TYPE_SUM"
    return _statements(
        group("resource", _kept((*WHO, "k8s.pod.name", POD[0]))),
        group("metric", [*units, monotonic]),
        group("datapoint", ["keep_keys(datapoint.attributes, [])", "set(datapoint.time, Now())"]),
    )


def build_counted() -> dict[str, Any]:
    """The same for what the connector counts: labels that say which app.

    It gives numbers since it last did, with times of the records, in any order. The exporter adds up what starts when
    the last one ended, and so all of them do.
    """
    times = ["set(datapoint.start_time_unix_nano, 1)", "set(datapoint.time_unix_nano, 1)"]
    return _statements(group("resource", _kept(WHO)), group("datapoint", times))


def _is(name: str, kind: str) -> str:
    return f'metric.name == "{name}" and metric.type == METRIC_DATA_TYPE_{kind}'


def _kept(names: tuple[str, ...]) -> list[str]:
    return [f"keep_keys(resource.attributes, {listed(names)})"]


def _statements(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"error_mode": "propagate", "metric_statements": list(groups)}
