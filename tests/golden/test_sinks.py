"""What the gateway is told of each SIEM: the chart's template has to come to the same."""

from pathlib import Path

import pytest
from tests.golden.test_golden import _dump

from microapp_operator.desired.forwarding.sinks import (
    Sink,
    build_datadog,
    build_elasticsearch,
    build_otlp,
    build_sinks,
    build_splunk,
)

HERE = Path(__file__).parent / "sinks"
OTLP = build_otlp("https://siem.example.com:4318", {"Authorization": "${env:OTLP_AUTHORIZATION}"})
DATADOG = build_datadog("datadoghq.eu")
SPLUNK = build_splunk("https://splunk.example.com:8088/services/collector", "microapps")
ELASTICSEARCH = build_elasticsearch("https://elasticsearch.example.com:9200", "logs-microapps-default")
CASES: dict[str, tuple[Sink, ...]] = {
    "otlp": (OTLP,),
    "datadog": (DATADOG,),
    "splunk": (SPLUNK,),
    "elasticsearch": (ELASTICSEARCH,),
    "all": (OTLP, DATADOG, SPLUNK, ELASTICSEARCH),
}


@pytest.mark.parametrize("case", CASES)
def test_sinks(case: str, golden_update: bool) -> None:
    rendered, file = _dump([build_sinks(*CASES[case], queue_bytes=2**30)]), HERE / f"{case}.yaml"
    if golden_update:
        file.write_text(rendered)
    assert file.read_text() == rendered, "stale golden file; rewrite with --golden-update"
