"""Which records can be forwarded, what LogForwarding says of them, and what a round of questions makes news."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.samples import LOGGING, make_app, make_tier

from microapp_operator.canary import CanaryState
from microapp_operator.conditions import compute_status
from microapp_operator.decide.decision import Decision, Surroundings, evaluate
from microapp_operator.decide.forwarding import LogGateway
from microapp_operator.decide.forwarding_view import Delivery, ForwardingView, ReadBack, judge_forwarding
from microapp_operator.desired.context import LoggingContext
from microapp_operator.errors import Transient
from microapp_operator.model import Condition
from microapp_operator.ports import GatewayReading, ObjectRef, Observed, PodReport, SinkState
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.forwarding import ForwardingWatcher
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.store import Store
from microapp_operator.settings import Capabilities, Images
from microapp_operator.view import View

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
GATEWAY = LogGateway(LOGGING, "10.96.0.40:4318")
COMMAND = {"command": ["python3", "main.py"]}
RUNNER = Images(wasm_runner=f"registry.example.com/operator@sha256:{'9' * 64}")
STALE = Condition(
    type="LogForwarding",
    status="False",
    reason=Reason.RECORDS_WAITING,
    message="as before",
    observed_generation=1,
    last_transition_time="2026-06-01T11:00:00Z",
)


def _decide(gateway: LogGateway | None = GATEWAY, **spec: Any) -> Decision:
    tier = make_tier("low", runtime={"wasmInContainer": True})
    around = Surroundings(
        tiers={"low": tier},
        connectors={},
        approvals=(),
        capabilities=Capabilities(frozenset({"spin"}) if spec.pop("spin", False) else frozenset(), knative=True),
        reserved=(),
        images=RUNNER,
        gateway=gateway,
    )
    return evaluate(make_app(**spec), tier, around, NOW)


@pytest.mark.parametrize(
    ("spec", "path", "reason"),
    [
        pytest.param({}, "spec.runtime.command", Reason.ENTRYPOINT_UNKNOWN, id="nobody knows what the image runs"),
        pytest.param(
            {"runtime": {"profile": "serverless", **COMMAND}},
            "spec.runtime.profile",
            Reason.LOG_SOURCE_NOT_SUPPORTED,
            id="serverless",
        ),
        pytest.param(
            {"runtime": {"profile": "wasm"}, "spin": True},
            "spec.runtime.profile",
            Reason.LOG_SOURCE_NOT_SUPPORTED,
            id="a module the node runs",
        ),
        pytest.param(
            {"runtime": {"profile": "wasm"}, "logging": {"source": "file"}},
            "spec.logging.source",
            Reason.LOG_SOURCE_NOT_SUPPORTED,
            id="a module has no /logs",
        ),
        pytest.param(
            {
                "runtime": COMMAND,
                "logging": {"source": "file"},
                "storage": [{"name": "x", "size": "1Gi", "mountPath": "/logs/old"}],
            },
            "spec.storage[0].mountPath",
            Reason.LOG_SOURCE_NOT_SUPPORTED,
            id="a volume of the app in the way",
        ),
    ],
)
def test_what_cannot_be_forwarded_is_said_and_does_not_stop_the_app(
    spec: dict[str, Any], path: str, reason: Reason
) -> None:
    runtime = spec.pop("runtime", {})
    decision = _decide(**spec, runtime={"image": f"registry.example.com/app@sha256:{'1' * 64}", **runtime})
    assert decision.logging is None
    assert decision.logging_finding is not None
    assert (decision.logging_finding.path, decision.logging_finding.reason) == (path, reason)
    assert decision.accepted
    status, said, message = judge_forwarding(ForwardingView(), decision, runs=True)
    assert (status, said) == ("False", reason)
    assert path in message


@pytest.mark.parametrize("source", ["stdout", "file", "otlp"])
def test_each_source_is_forwarded_to_the_gateways_address(source: str) -> None:
    runtime = {"image": f"registry.example.com/app@sha256:{'1' * 64}", **({} if source == "otlp" else COMMAND)}
    decision = _decide(runtime=runtime, logging={"source": source})
    assert isinstance(decision.logging, LoggingContext)
    assert (decision.logging.address, decision.logging.source) == ("10.96.0.40:4318", source)


def test_a_gateway_that_moves_has_everything_rendered_anew() -> None:
    runtime = {"image": f"registry.example.com/app@sha256:{'1' * 64}", **COMMAND}
    elsewhere = LogGateway(LOGGING, "10.96.0.41:4318")
    assert _decide(runtime=runtime).inputs_hash() != _decide(elsewhere, runtime=runtime).inputs_hash()


RUNNING = _decide(runtime={"image": f"registry.example.com/app@sha256:{'1' * 64}", **COMMAND})
CALM = Delivery(pods=2, delivered=10, last_delivered=NOW - timedelta(hours=1))
STUCK = Finding(Reason.SINK_FAILING, "", "sink otlp takes nothing.")
AWAY = Finding(Reason.LOG_GATEWAY_UNREACHABLE, "", "no answer.")


@pytest.mark.parametrize(
    ("view", "said"),
    [
        pytest.param(ForwardingView(CALM, None, NOW), ("True", Reason.FORWARDING), id="all delivered"),
        pytest.param(
            ForwardingView(replace(CALM, dropped=3, dropped_at=NOW - timedelta(minutes=14)), None, NOW),
            ("False", Reason.RECORDS_DROPPED),
            id="a loss is a fault for a while",
        ),
        pytest.param(
            ForwardingView(replace(CALM, dropped=3, dropped_at=NOW - timedelta(minutes=16)), None, NOW),
            ("True", Reason.FORWARDING),
            id="an old loss is only told",
        ),
        pytest.param(
            ForwardingView(replace(CALM, backlog=5, waiting_since=NOW - timedelta(seconds=61)), None, NOW),
            ("False", Reason.RECORDS_WAITING),
            id="records that wait",
        ),
        pytest.param(
            ForwardingView(replace(CALM, backlog=5, waiting_since=NOW - timedelta(seconds=20)), None, NOW),
            ("True", Reason.FORWARDING),
            id="records on their way",
        ),
        pytest.param(
            ForwardingView(replace(CALM, silent=1), None, NOW), ("False", Reason.FORWARDER_SILENT), id="a silent pod"
        ),
        pytest.param(ForwardingView(CALM, STUCK, NOW), ("False", Reason.SINK_FAILING), id="a sink that takes nothing"),
        pytest.param(
            ForwardingView(replace(CALM, silent=1), AWAY, NOW),
            ("Unknown", Reason.LOG_GATEWAY_UNREACHABLE),
            id="nobody to ask",
        ),
        pytest.param(ForwardingView(before=(STALE,)), ("False", Reason.RECORDS_WAITING), id="a process just started"),
        pytest.param(ForwardingView(), ("Unknown", Reason.PROGRESSING), id="nothing known yet"),
        pytest.param(ForwardingView(Delivery(), None, NOW), ("Unknown", Reason.PROGRESSING), id="no pod has told yet"),
    ],
)
def test_log_forwarding_says_the_worst(view: ForwardingView, said: tuple[str, Reason]) -> None:
    assert judge_forwarding(view, RUNNING, runs=True)[:2] == said


def test_what_pods_told_last_stands_in_status_until_others_tell() -> None:
    app = make_app()
    told = compute_status(app.status, View(1, forwarding=ForwardingView(replace(CALM, dropped=3), None, NOW)), NOW)
    assert told.logging is not None
    assert (told.logging.dropped, told.logging.last_delivered_time) == (3, "2026-06-01T11:00:00Z")
    nobody = compute_status(told, View(1, forwarding=ForwardingView(Delivery(), None, NOW)), NOW)
    assert nobody.logging == told.logging


def test_log_forwarding_without_a_gateway_or_pods_or_a_spec() -> None:
    view = ForwardingView(replace(CALM, silent=1), None, NOW)
    assert judge_forwarding(view, None, runs=True)[:2] == ("Unknown", Reason.PROGRESSING)
    assert judge_forwarding(view, _decide(None), runs=True)[:2] == ("Unknown", Reason.FORWARDER_NOT_INSTALLED)
    assert judge_forwarding(view, RUNNING, runs=False)[:2] == ("True", Reason.NOTHING_TO_FORWARD)


KEY = ("finance", "app")
REPORT = PodReport("finance", "app", "pod-1", delivered=10)


@dataclass
class _World:
    """What the watcher looks at: a gateway and a workload that say what a test has them say, and a clock."""

    time: datetime = NOW
    reading: GatewayReading | None = None
    ready: int = 1
    place: str = GATEWAY.address

    def now(self) -> datetime:
        return self.time

    async def address(self) -> str:
        return self.place

    async def read(self) -> GatewayReading:
        if self.reading is None:
            raise Transient("it doesn't answer.")
        return self.reading

    def namespace(self, name: str) -> None:
        raise AssertionError(name)

    def within(self, namespace: str) -> Sequence[Observed]:
        ref = ObjectRef("apps/v1", "Deployment", namespace, "app")
        status = {"readyReplicas": self.ready}
        return [Observed(ref, "uid", "1", "app", managed=True, applied_hash="", fields_digest="", status=status)]


class _Rounds:
    """A watcher over one app."""

    def __init__(self, **status: Any) -> None:
        self.world, self.news = _World(), list[Key]()
        self.store = Store(())
        self.store.gateway = GATEWAY
        metadata = {"namespace": "finance", "name": "app", "uid": "u", "resourceVersion": "1"}
        self.store.put_app({"metadata": metadata, "status": status})
        self.watcher = ForwardingWatcher(self.world, self.store, self.world, self.world, self.news.append)

    def look(
        self,
        *pods: PodReport,
        sinks: tuple[SinkState, ...] = (),
        canaries: tuple[CanaryState, ...] = (),
        after: float = 15,
    ) -> ForwardingView:
        """One round; what is kept of the app then."""
        self.world.reading = GatewayReading(pods, sinks, canaries)
        return self._look(after)

    def find_nobody(self) -> ForwardingView:
        """A round in which the gateway doesn't answer."""
        self.world.reading = None
        return self._look(15)

    def _look(self, after: float) -> ForwardingView:
        self.world.time += timedelta(seconds=after)
        self.news.clear()
        asyncio.run(self.watcher.look())
        return self.store.forwarding(KEY)


def test_a_round_is_news_once_and_then_only_when_something_else_is_to_be_said() -> None:
    rounds = _Rounds()
    assert rounds.look(REPORT).delivery == Delivery(pods=1, delivered=10)
    assert rounds.news == [KEY]
    rounds.look(replace(REPORT, delivered=20))
    assert rounds.news == []
    waiting = replace(REPORT, delivered=20, backlog=3, waiting_since=rounds.world.time)
    for _ in range(4):
        rounds.look(waiting)
    assert rounds.news == [KEY], "after a minute"
    rounds.look(replace(REPORT, delivered=23))
    assert rounds.news == [KEY]


def test_numbers_are_refreshed_now_and_then() -> None:
    rounds = _Rounds()
    rounds.look(REPORT)
    rounds.look(REPORT, after=400)
    assert rounds.news == [], "nothing is different"
    rounds.look(replace(REPORT, delivered=11))
    assert rounds.news == [KEY]


def test_a_canary_that_comes_back_is_told_of_seldom_since_it_is_news_of_all_apps() -> None:
    rounds, found = _Rounds(), CanaryState("gateway-0", "otlp", timedelta(minutes=5), NOW)
    for minutes in range(59):
        rounds.look(REPORT, canaries=(replace(found, read_back=NOW + timedelta(minutes=minutes)),), after=60)
        assert rounds.news == [KEY] * (minutes == 0)
    rounds.look(REPORT, canaries=(replace(found, read_back=NOW + timedelta(hours=1)),), after=120)
    assert rounds.news == [KEY]
    lost = replace(found, missing_since=rounds.world.time - timedelta(minutes=5), answer="401 Unauthorized")
    view = rounds.look(REPORT, canaries=(lost,))
    assert (judge_forwarding(view, RUNNING, runs=True)[1], rounds.news) == (Reason.CANARY_NOT_READ_BACK, [KEY])
    view = rounds.look(REPORT, canaries=(replace(lost, answer="200 OK, without the record"),), after=300)
    assert "200 OK" in judge_forwarding(view, RUNNING, runs=True)[2], "another answer is told before long"


def test_the_first_canary_that_comes_back_is_told_of_at_once() -> None:
    rounds, sent = _Rounds(), CanaryState("gateway-0", "otlp", timedelta(minutes=5), missing_since=NOW)
    rounds.look(REPORT, canaries=(sent,))
    rounds.look(REPORT, canaries=(replace(sent, read_back=NOW, missing_since=None),))
    assert rounds.news == [KEY]


def test_a_process_that_starts_says_of_canaries_what_status_says_while_that_is_young() -> None:
    told, found = "2026-06-01T11:30:00Z", CanaryState("gateway-0", "otlp", timedelta(minutes=5), read_back=NOW)
    view = _Rounds(logging={"lastReadBackTime": told}).look(REPORT, canaries=(found,))
    assert view.read_back == ReadBack("otlp", NOW - timedelta(minutes=30))
    later = replace(found, read_back=NOW + timedelta(hours=1))
    view = _Rounds(logging={"lastReadBackTime": told}).look(REPORT, canaries=(later,))
    assert view.read_back == ReadBack("otlp", NOW + timedelta(hours=1))


def test_a_loss_is_noticed_when_the_count_rises() -> None:
    rounds = _Rounds()
    view = rounds.look(replace(REPORT, dropped=5))
    assert view.delivery is not None
    assert view.delivery.dropped_at is None, "it may have been any time before this process started"
    view = rounds.look(replace(REPORT, dropped=6))
    assert view.delivery is not None
    assert view.delivery.dropped_at == rounds.world.time
    assert rounds.news == [KEY]
    lost_at_once = PodReport("finance", "app", "pod-2", dropped=1)
    view = rounds.look(replace(REPORT, dropped=6), lost_at_once, after=3600)
    assert view.delivery is not None
    assert view.delivery.dropped_at == rounds.world.time


def test_a_gateway_that_starts_anew_makes_no_old_loss_a_new_one() -> None:
    rounds = _Rounds()
    rounds.look(replace(REPORT, dropped=5))
    rounds.look()
    view = rounds.look(replace(REPORT, dropped=5))
    assert view.delivery is not None
    assert view.delivery.dropped_at is None


def test_when_the_last_record_was_lost_outlives_the_process() -> None:
    rounds = _Rounds(logging={"dropped": 5, "lastDroppedTime": "2026-06-01T11:55:00Z"})
    view = rounds.look(replace(REPORT, dropped=5))
    assert judge_forwarding(view, RUNNING, runs=True)[1] == Reason.RECORDS_DROPPED


def test_a_pod_that_says_nothing_is_told_of_after_a_while_only() -> None:
    rounds = _Rounds()
    rounds.world.ready = 2
    said = [judge_forwarding(rounds.look(REPORT), RUNNING, runs=True)[1] for _ in range(7)]
    assert said == [Reason.FORWARDING] * 5 + [Reason.FORWARDER_SILENT] * 2
    rounds.world.ready = 1
    assert judge_forwarding(rounds.look(REPORT), RUNNING, runs=True)[1] == Reason.FORWARDING


def test_a_sink_fails_when_it_takes_nothing_of_what_waits_for_it() -> None:
    rounds = _Rounds()
    busy, idle = SinkState("gateway-0", "otlp_http/otlp", 10, 5), SinkState("gateway-0", "datadog", 0, 5)
    for sent in range(6):
        assert rounds.look(REPORT, sinks=(replace(busy, sent=sent), idle)).trouble is None
    troubles = [rounds.look(REPORT, sinks=(busy, idle)).trouble for _ in range(6)]
    assert troubles[0] is None
    assert troubles[-1] is not None
    assert "otlp_http/otlp" in troubles[-1].message
    assert rounds.look(REPORT, sinks=(replace(busy, queued=0), idle)).trouble is None


def test_a_gateway_that_does_not_answer_leaves_what_was_known() -> None:
    rounds = _Rounds()
    rounds.look(replace(REPORT, dropped=2))
    view = rounds.find_nobody()
    assert view.delivery is not None
    assert view.delivery.dropped == 2
    assert judge_forwarding(view, RUNNING, runs=True)[:2] == ("Unknown", Reason.LOG_GATEWAY_UNREACHABLE)
    rounds.find_nobody()
    assert rounds.news == []


def test_apps_are_told_where_a_gateway_has_moved_to() -> None:
    rounds = _Rounds()
    rounds.look(REPORT)
    rounds.world.place = "10.96.0.99:4318"
    rounds.look(REPORT)
    assert rounds.news == [KEY]
    assert rounds.store.gateway == LogGateway(LOGGING, "10.96.0.99:4318")
