"""What a canary's page says of those that come back, in any order, or don't; and what is said of an app then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from microapp_operator.canary import Answer, Canary, CanarySettings, CanaryState, Ledger, Why
from microapp_operator.decide.forwarding_view import Delivery, ForwardingView, ReadBack, judge_canaries
from microapp_operator.reasons import Reason

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEADLINE = timedelta(minutes=5)
HERE, ABSENT = Answer(None, "has the record"), Answer(Why.ABSENT, "200 OK, without the record")
READ_BACK = {"sink": "otlp", "url": "https://siem.example.com/search?id={uid}"}


def canary(sent_at: float) -> Canary:
    return Canary(f"uid{sent_at}", f"proof{sent_at}", sent_at)


def ago(**much: float) -> datetime:
    return NOW - timedelta(**much)


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)))
def test_missing_are_those_sent_since_the_newest_that_came_back(order: list[int], back: set[int]) -> None:
    ledger, canaries = Ledger(["otlp"]), [canary(float(n)) for n in range(5)]
    page = ledger.pages["otlp"]
    for each in canaries:
        ledger.start(each)
    for number in order:
        page.answered(canaries[number], HERE if number in back else ABSENT, 100.0)
    newest = max(back, default=None)
    assert page.read_back_at == newest
    assert page.missing_since == (None if newest == 4 else 0.0 if newest is None else newest + 1.0)
    given_up = [each for each in canaries if page.give_up(each) is not None]
    assert [each.sent_at for each in given_up] == [n for n in range(5) if n not in back]
    assert page.failures[Why.ABSENT] == 5 - len(back)


def test_what_is_missing_stays_so_when_it_is_given_up() -> None:
    ledger = Ledger(["otlp"])
    page = ledger.pages["otlp"]
    ledger.start(canary(10.0))
    ledger.refused(canary(10.0), "the log gateway doesn't take it", 11.0)
    page.give_up(canary(10.0))
    ledger.start(canary(70.0))
    assert page.missing_since == 10.0
    assert page.answer.text == "the log gateway doesn't take it"
    page.answered(canary(70.0), HERE, 72.0)
    assert (page.missing_since, page.delay) == (None, 2.0)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"interval": 60, "deadline": 301}, ()),
        ({"readBacks": []}, ("readBacks",)),
        ({"readBacks": [{**READ_BACK, "url": "https://user:password@siem.example.com/"}]}, ("readBacks", 0, "url")),
        ({"readBacks": [{**READ_BACK, "url": "file:///etc/passwd"}]}, ("readBacks", 0, "url")),
        ({"readBacks": [{**READ_BACK, "headers": {"x": "a\r\nb"}}]}, ("readBacks", 0, "headers", "x")),
    ],
    ids=["too many on the way", "nothing to ask", "a password", "no server", "a line end"],
)
def test_what_makes_no_sense_is_refused_by_its_field(told: dict[str, Any], where: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        CanarySettings.model_validate({"readBacks": [READ_BACK], **told})
    assert refused.value.errors()[0]["loc"] == where


def test_a_sink_is_at_fault_once_a_canary_is_missing_for_longer_than_it_may_take() -> None:
    new = CanaryState("gateway-0", "otlp", DEADLINE, missing_since=ago(minutes=5))
    assert judge_canaries((new,), NOW) == (None, None)
    fine = CanaryState("gateway-0", "splunk_hec", DEADLINE, read_back=ago(seconds=30))
    late = CanaryState("gateway-1", "otlp", DEADLINE, ago(hours=1), ago(minutes=6), "401 Unauthorized")
    trouble, last = judge_canaries((fine, new, late), NOW)
    assert trouble is not None
    assert trouble.reason is Reason.CANARY_NOT_READ_BACK
    assert "sink otlp has given back no record sent since 2026-06-01T11:54:00Z" in trouble.message
    assert trouble.message.endswith("it says: 401 Unauthorized.")
    assert last == ReadBack("otlp", ago(hours=1)), "the one furthest behind"


def test_status_says_when_the_last_was_sent_that_came_back() -> None:
    told = ForwardingView(Delivery(pods=1), None, NOW, ReadBack("otlp", ago(minutes=1))).told()
    assert told is not None
    assert told.last_read_back_time == "2026-06-01T11:59:00Z"
