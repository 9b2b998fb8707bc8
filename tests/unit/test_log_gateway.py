"""What has to hold between numbers of the log gateway's configuration."""

from microapp_operator.desired.forwarding.record import TEXT_MAX
from microapp_operator.desired.forwarding.redaction import SAID
from microapp_operator.desired.forwarding.sinks import build_datadog, build_otlp, build_sinks


def test_the_largest_record_is_half_of_what_a_sink_sends_at_once() -> None:
    """What is larger is thrown away, with what would have been sent along."""
    sinks = build_sinks(build_otlp("http://otlp.example.com"), build_datadog("datadoghq.eu"), queue_bytes=2**30)
    for exporter in sinks["exporters"].values():
        batch = exporter["sending_queue"]["batch"]
        assert batch["sizer"] == "bytes"
        assert 2 * len(SAID) * TEXT_MAX <= batch["max_size"]
