"""The three conditions about secrets, from what is known of the store."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from tests.support.samples import make_app, make_tier
from tests.support.secrets import VAULT

from microapp_operator.decide.decision import Decision, Surroundings, evaluate
from microapp_operator.decide.rotation import Rotation
from microapp_operator.decide.secret_view import SecretsView, judge_secrets
from microapp_operator.model import Condition
from microapp_operator.reasons import ConditionType, Finding, Reason
from microapp_operator.settings import Capabilities

READY, ROTATION, REACHABLE = (
    ConditionType.SECRETS_READY,
    ConditionType.ROTATION_CURRENT,
    ConditionType.VAULT_REACHABLE,
)
KV = {"name": "api", "path": "expenses/api"}
SEALED = Finding(Reason.SECRET_STORE_SEALED, "", "Vault is sealed.")
DENIED = Finding(Reason.SECRET_STORE_DENIED, "", "Vault refuses.")
MISSING = Finding(Reason.SECRET_NOT_FOUND, "spec.secrets[0]", "nothing is there.")
DUE = Finding(Reason.ROTATION_DUE, "", "secret api is due.")
OVERDUE = Finding(Reason.ROTATION_OVERDUE, "", "secret api is overdue.")
KNOWN = SecretsView(observed=True, asked=True)


def decided(*secrets: Mapping[str, str], store: bool = True) -> Decision:
    around = Surroundings(
        {}, {}, (), Capabilities(), (), vault=VAULT.model_copy(update={"production": ()}) if store else None
    )
    return evaluate(make_app(secrets=list(secrets)), make_tier(), around, datetime(2026, 6, 1, tzinfo=UTC))


def judged(view: SecretsView, decision: Decision | None) -> dict[ConditionType, tuple[str, Reason]]:
    return {kind: (status, reason) for kind, status, reason, _ in judge_secrets(view, decision)}


def stood(kind: ConditionType, status: str, reason: Reason) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message="as before",
        observed_generation=1,
        last_transition_time="2026-05-01T00:00:00Z",
    )


def test_all_is_well() -> None:
    assert judged(KNOWN, decided(KV)) == {
        READY: ("True", Reason.SECRETS_DELIVERED),
        ROTATION: ("True", Reason.ROTATED),
        REACHABLE: ("True", Reason.REACHABLE),
    }


@pytest.mark.parametrize("store", [True, False])
def test_an_app_without_secrets_needs_no_store(store: bool) -> None:
    decision, view = decided(store=store), SecretsView(outage=SEALED, missing=(MISSING,))
    assert set(judged(view, decision).values()) == {("True", Reason.NOT_REQUIRED)}
    assert view.faults(decision) == ()


def test_secrets_without_a_store_are_a_fault_of_the_app() -> None:
    decision, reason = decided(KV, store=False), Reason.SECRET_STORE_NOT_CONFIGURED
    assert judged(KNOWN, decision) == {
        READY: ("False", reason),
        ROTATION: ("Unknown", reason),
        REACHABLE: ("False", reason),
    }
    assert [f.reason for f in KNOWN.faults(decision)] == [reason]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        pytest.param(
            SecretsView(outage=SEALED, observed=True, asked=True, missing=(MISSING,), refusal=DENIED),
            {READY: SEALED.reason, REACHABLE: SEALED.reason},
            id="an-outage-hides-what-can't-be-known",
        ),
        pytest.param(
            SecretsView(observed=True, asked=True, missing=(MISSING,), refusal=DENIED),
            {READY: DENIED.reason},
            id="a-refusal-of-this-app-comes-before-what-is-missing",
        ),
        pytest.param(SecretsView(observed=True, asked=True, missing=(MISSING,)), {READY: MISSING.reason}, id="missing"),
    ],
)
def test_what_is_false_is_what_is_known_to_be_wrong(view: SecretsView, expected: dict[ConditionType, Reason]) -> None:
    found = judged(view, decided(KV))
    assert {kind: reason for kind, (status, reason) in found.items() if status == "False"} == expected


def test_an_outage_is_no_fault_of_the_app_and_what_is_missing_is() -> None:
    decision = decided(KV)
    assert SecretsView(outage=SEALED, missing=(MISSING,)).faults(decision) == ()
    assert SecretsView(missing=(MISSING,)).faults(decision) == (MISSING,)


def test_a_refused_path_outlasts_an_outage_and_is_told_first() -> None:
    decision = decided({"name": "api", "path": "other/api"})
    assert judged(SecretsView(outage=SEALED), decision)[READY] == ("False", Reason.SECRET_PATH_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        pytest.param(Rotation(due=(DUE,)), ("True", Reason.ROTATION_DUE), id="due"),
        pytest.param(Rotation(overdue=(OVERDUE,), due=(DUE,)), ("False", Reason.ROTATION_OVERDUE), id="overdue"),
    ],
)
@pytest.mark.parametrize("observed", [True, False])
def test_age_is_known_from_status_even_when_the_store_is_not(
    rotation: Rotation, expected: tuple[str, Reason], observed: bool
) -> None:
    view = SecretsView(outage=None if observed else SEALED, observed=observed, rotation=rotation)
    assert judged(view, decided(KV))[ROTATION] == expected


@pytest.mark.parametrize("decision", [None, decided(KV)], ids=["nothing-decided", "nothing-observed"])
def test_until_something_is_known_conditions_stand_as_they_did(decision: Decision | None) -> None:
    before = (
        stood(READY, "False", Reason.SECRET_STORE_SEALED),
        stood(ROTATION, "True", Reason.ROTATION_DUE),
        stood(REACHABLE, "False", Reason.SECRET_STORE_SEALED),
    )
    assert judged(SecretsView(before=before), decision) == {
        READY: ("False", Reason.SECRET_STORE_SEALED),
        ROTATION: ("True", Reason.ROTATION_DUE),
        REACHABLE: ("False", Reason.SECRET_STORE_SEALED),
    }


@pytest.mark.parametrize("before", [(), tuple(stood(k, "True", Reason.NOT_REQUIRED) for k in (READY, ROTATION))])
def test_where_nothing_stood_or_nothing_was_needed_it_is_unknown(before: tuple[Condition, ...]) -> None:
    assert set(judged(SecretsView(before=before), decided(KV)).values()) == {("Unknown", Reason.PROGRESSING)}


def test_a_long_list_is_cut_and_counted() -> None:
    view = SecretsView(observed=True, asked=True, missing=(MISSING,) * 7)
    message = next(m for kind, _, _, m in judge_secrets(view, decided(KV)) if kind is READY)
    assert message.count("nothing is there.") == 5
    assert message.endswith("And 2 more.")
