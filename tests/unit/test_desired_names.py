"""Laws of names: always valid, and no two long ones alike."""

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.golden.hostile import APP_NAME, LABEL, LONG_LABEL
from tests.support.samples import make_app, make_tier

from microapp_operator.desired.context import RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.desired.plan import build_plan
from microapp_operator.errors import InvalidSpec

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
laws = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])


@laws
@given(st.tuples(LABEL | LONG_LABEL, APP_NAME | LONG_LABEL))
def test_a_namespace_s_name_is_a_label(pair: tuple[str, str]) -> None:
    name = namespace_name(*pair)
    assert DNS_LABEL.fullmatch(name)
    plain = f"ma-{pair[0]}-{pair[1]}"
    assert name == plain if len(plain) <= 63 else len(name) <= 63


@laws
@given(st.tuples(LONG_LABEL, LONG_LABEL), st.tuples(LONG_LABEL, LONG_LABEL))
def test_two_long_pairs_share_no_name(one: tuple[str, str], two: tuple[str, str]) -> None:
    assume(one != two and all(len("-".join(("ma", *pair))) > 63 for pair in (one, two)))
    assert namespace_name(*one) != namespace_name(*two)


@laws
@given(st.lists(LONG_LABEL, min_size=3, max_size=3))
def test_moving_the_border_between_tenant_and_app_changes_a_long_name(parts: list[str]) -> None:
    a, b, c = parts
    assert namespace_name(f"{a}-{b}", c) != namespace_name(a, f"{b}-{c}")


@laws
@given(st.text(max_size=70), st.text(max_size=70))
def test_a_name_of_the_app_becomes_valid_names_or_none(name: str, namespace: str) -> None:
    app = make_app("a", "b")
    renamed = app.model_copy(
        update={"metadata": app.metadata.model_copy(update={"name": name, "namespace": namespace})}
    )
    context = RenderContext(runtime=RuntimeChoice(WorkloadKind.DEPLOYMENT))
    try:
        plan = build_plan(renamed, make_tier(), context)
    except InvalidSpec:
        return
    assert all(DNS_NAME.fullmatch(m["metadata"]["name"]) for m in plan.all())


@pytest.mark.parametrize("field", ["name", "namespace"])
@pytest.mark.parametrize("value", ["../x", "a/b", "A", "", "-a", "a-", "a b", "{{x}}"])
def test_references_to_other_apps_are_labels(field: str, value: str) -> None:
    ref = {"namespace": "finance", "name": "portal", field: value}
    with pytest.raises(InvalidSpec):
        make_app(ingress={"from": [{"microApp": ref}]})
