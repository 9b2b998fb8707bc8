"""Argo CD's view of a MicroApp: upstream's test files, run upstream's way, and the rules behind them."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from microapp_operator.conditions import compute_status
from microapp_operator.model import MicroApp, MicroAppStatus, parse
from microapp_operator.reasons import ConditionType, Finding, Reason
from microapp_operator.view import View

ROOT = Path(__file__).resolve().parents[2] / "argocd" / "microapps.dev" / "MicroApp"
NOW = datetime(2030, 1, 7, 9, 30, tzinfo=UTC)
_KEPT = {
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset", "select",
    "setmetatable", "table", "tonumber", "tostring", "type", "unpack", "xpcall", "_VERSION",
}  # fmt: skip


def load(path: str) -> Any:
    """The YAML file ``path`` below ROOT."""
    return yaml.safe_load((ROOT / path).read_text())


def run(script: str, obj: Any) -> Any:
    """What the script ``script`` below ROOT returns for ``obj``, as plain Python values.

    Without string, os, io, math: what a script from argocd-cm gets (base, table, a cut-down os).
    """
    runtime = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    runtime.execute('getmetatable("").__index = nil')
    names = runtime.globals()
    for name in [name for name in names if name not in _KEPT]:
        names[name] = None
    names["obj"] = _to_lua(runtime, obj)
    return _to_python(runtime.execute((ROOT / script).read_text()))


def _to_lua(runtime: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({key: _to_lua(runtime, item) for key, item in value.items()})
    if isinstance(value, list):
        return runtime.table_from([_to_lua(runtime, item) for item in value])
    return value


def _to_python(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value)
    if keys == list(range(1, len(keys) + 1)):
        return [_to_python(value[key]) for key in keys]
    return {key: _to_python(value[key]) for key in keys}


HEALTH_TESTS: list[dict[str, Any]] = load("health_test.yaml")["tests"]
ACTION_TESTS: dict[str, Any] = load("actions/action_test.yaml")
FIXTURES = sorted(path.stem for path in (ROOT / "testdata").glob("*.yaml"))


def fixture(name: str) -> dict[str, Any]:
    obj: dict[str, Any] = load(f"testdata/{name}.yaml")
    return obj


def status_of(obj: dict[str, Any]) -> str:
    health = run("health.lua", obj)
    assert set(health) == {"status", "message"}
    assert health["message"]
    return str(health["status"])


def changed(name: str, *conditions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """The fixture with some conditions' fields and some of its spec replaced."""
    obj = copy.deepcopy(fixture(name))
    obj["spec"] |= spec
    for change in conditions:
        next(c for c in obj["status"]["conditions"] if c["type"] == change["type"]).update(change)
    return obj


@pytest.mark.parametrize("case", HEALTH_TESTS, ids=lambda case: case["inputPath"])
def test_health(case: dict[str, Any]) -> None:
    assert run("health.lua", load(case["inputPath"])) == case["healthStatus"]


def test_the_layout_is_upstreams() -> None:
    assert [set(case) for case in HEALTH_TESTS] == [{"inputPath", "healthStatus"}] * len(HEALTH_TESTS)
    tested = {case["inputPath"] for case in HEALTH_TESTS}
    assert tested == {f"testdata/{name}.yaml" for name in FIXTURES}, "every fixture is tested, every test has one"
    assert set(FIXTURES) >= {
        "no_status", "generation_mismatch", "healthy", "progressing", "degraded", "stalled", "suspended_approval",
        "suspended", "terminating",
    }  # fmt: skip
    known = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
    assert {case["healthStatus"]["status"] for case in HEALTH_TESTS} <= known


@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures_speak_as_the_operator_does(name: str) -> None:
    obj = fixture(name)
    assert (obj["apiVersion"], obj["kind"]) == ("microapps.dev/v1alpha1", "MicroApp")
    status = parse(MicroApp, obj).status
    for condition in status.conditions:
        assert condition.type in set(ConditionType)
        assert condition.reason in set(Reason)


def test_no_status_at_all_is_progress() -> None:
    """What a client sees when the CRD doesn't default status."""
    obj = fixture("no_status")
    for status in (None, {}, {"conditions": []}):
        assert status_of(obj | {"status": status}) == "Progressing"
    del obj["status"]
    assert status_of(obj) == "Progressing"


def test_deletion_comes_before_everything_else() -> None:
    for name in FIXTURES:
        obj = copy.deepcopy(fixture(name))
        obj["metadata"]["deletionTimestamp"] = "2030-01-07T10:00:00Z"
        obj["metadata"]["finalizers"] = ["microapps.dev/teardown", "example.com/backup"]
        health = run("health.lua", obj)
        assert health["status"] == "Progressing"
        assert health["message"].endswith("blocked by finalizers: microapps.dev/teardown, example.com/backup")
        obj["metadata"]["finalizers"] = []
        assert run("health.lua", obj)["message"] == "Pending deletion"


def test_a_stale_ready_is_not_believed() -> None:
    assert status_of(changed("healthy", {"type": "Ready", "observedGeneration": 1})) == "Progressing"
    assert status_of(changed("suspended", {"type": "Ready", "observedGeneration": 1})) == "Progressing"


def test_a_condition_without_a_message_still_says_something() -> None:
    obj = changed("degraded", {"type": "Ready", "message": ""})
    assert run("health.lua", obj) == {"status": "Degraded", "message": "WorkloadUnavailable"}


@pytest.mark.parametrize(
    ("ready", "approved", "health"),
    [
        ("Unknown", "ApprovalPending", "Suspended"),
        ("Unknown", "EgressApprovalPending", "Suspended"),
        ("Unknown", "SomethingElse", "Progressing"),
        ("True", "EgressApprovalPending", "Healthy"),
        ("False", "ApprovalPending", "Degraded"),
    ],
)
def test_a_pending_approval_suspends_while_ready_is_unknown(ready: str, approved: str, health: str) -> None:
    obj = changed(
        "suspended_approval",
        {"type": "Ready", "status": ready, "reason": "Reconciled"},
        {"type": "Approved", "reason": approved},
    )
    assert status_of(obj) == health


def test_stalled_outranks_a_pending_approval_and_suspension() -> None:
    for name in ("suspended_approval", "suspended"):
        assert status_of(changed(name, {"type": "Stalled", "status": "True"})) == "Degraded"


def test_suspend_shows_by_the_spec_alone_once_ready() -> None:
    assert status_of(changed("healthy", suspend=True)) == "Suspended"
    assert status_of(changed("progressing", suspend=True)) == "Progressing"


@pytest.mark.parametrize(
    ("view", "health"),
    [
        (View(generation=2), "Healthy"),
        (View(generation=2, progress=Finding(Reason.RETRYING, "", "no answer.")), "Progressing"),
        (View(generation=2, faults=(Finding(Reason.NAMESPACE_NOT_OURS, "", "it is theirs."),)), "Degraded"),
        (View(generation=1), "Progressing"),
    ],
    ids=["done", "working", "fault", "older generation"],
)
def test_what_the_operator_computes_reads_right(view: View, health: str) -> None:
    status = compute_status(MicroAppStatus(), view, NOW).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert status_of(fixture("healthy") | {"status": status}) == health


@pytest.mark.parametrize("case", ACTION_TESTS["discoveryTests"], ids=lambda case: case["inputPath"])
def test_action_discovery(case: dict[str, Any]) -> None:
    actions = run("actions/discovery.lua", load(f"actions/{case['inputPath']}"))
    found = sorted(({"name": name, **action} for name, action in actions.items()), key=lambda a: a["name"])
    assert found == sorted(case["result"], key=lambda a: a["name"])


@pytest.mark.parametrize("case", ACTION_TESTS["actionTests"], ids=lambda case: case["action"])
def test_actions(case: dict[str, Any]) -> None:
    result = run(f"actions/{case['action']}/action.lua", load(f"actions/{case['inputPath']}"))
    assert result == load(f"actions/{case['expectedOutputPath']}")


def test_there_is_an_action_for_each_name_and_none_to_approve() -> None:
    folders = {path.parent.name for path in (ROOT / "actions").glob("*/action.lua")}
    discovered = set(run("actions/discovery.lua", load("actions/testdata/running.yaml")))
    assert folders == discovered == {"suspend", "resume"}
    assert {case["action"] for case in ACTION_TESTS["actionTests"]} == folders
