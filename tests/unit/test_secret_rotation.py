"""When a secret is due and when it is overdue, to the second."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.support.samples import make_tier

from microapp_operator.decide.rotation import WARNING, Rotation, evaluate_rotation
from microapp_operator.model.status import SecretStatus

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AGE, SECOND = timedelta(days=90), timedelta(seconds=1)


def rotated(ago: timedelta, name: str = "api") -> SecretStatus:
    return SecretStatus(name=name, state="Ready", rotated_at=(NOW - ago).isoformat())


def judged(*secrets: SecretStatus) -> tuple[int, int, timedelta | None]:
    """(overdue, due, how long until that changes)."""
    rotation = evaluate_rotation(secrets, make_tier(rotationDays=90), NOW)
    return len(rotation.overdue), len(rotation.due), rotation.next - NOW if rotation.next else None


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        pytest.param(timedelta(0), (0, 0, AGE - WARNING), id="new"),
        pytest.param(AGE - WARNING - SECOND, (0, 0, SECOND), id="a-second-before-the-warning"),
        pytest.param(AGE - WARNING, (0, 1, WARNING), id="the-warning"),
        pytest.param(AGE - SECOND, (0, 1, SECOND), id="a-second-before-the-deadline"),
        pytest.param(AGE, (1, 0, None), id="the-deadline"),
        pytest.param(AGE * 9, (1, 0, None), id="forgotten"),
        pytest.param(-AGE, (0, 0, AGE * 2 - WARNING), id="a-clock-ahead-of-ours"),
    ],
)
def test_a_secret_is_due_a_week_ahead_and_overdue_at_its_date(
    ago: timedelta, expected: tuple[int, int, timedelta | None]
) -> None:
    assert judged(rotated(ago)) == expected


def test_the_judgement_changes_with_the_first_of_several() -> None:
    assert judged(rotated(AGE, "old"), rotated(AGE - SECOND, "late"), rotated(timedelta(0))) == (1, 1, SECOND)


def test_what_is_made_on_demand_is_never_old() -> None:
    assert evaluate_rotation((SecretStatus(name="db", state="Ready"),), make_tier(), NOW) == Rotation()


def test_a_date_is_told_in_utc_whatever_zone_it_came_in() -> None:
    secret = SecretStatus(name="api", state="Ready", rotated_at="2026-03-01T00:30:00+02:00")
    (finding,) = evaluate_rotation((secret,), make_tier(rotationDays=90), NOW).overdue
    assert finding.message == "secret api, last rotated on 2026-02-28, is due by 2026-05-29."
