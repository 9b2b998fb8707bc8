"""Which runtime profile runs how, and which not at all."""

from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from tests.support.samples import make_app, make_tier

from microapp_operator.conditions import compute_status
from microapp_operator.decide.decision import Decision, Surroundings, evaluate
from microapp_operator.decide.runtime import resolve_runtime
from microapp_operator.decide.secrets import NEEDED_APIS
from microapp_operator.desired.context import RuntimeChoice, SecretsContext, SecretSource, SourceKind, WorkloadKind
from microapp_operator.desired.delivery import deliver
from microapp_operator.desired.plan import build_plan
from microapp_operator.desired.wasm import COMMAND, build_config
from microapp_operator.desired.workload import build_deployment
from microapp_operator.model import MicroAppStatus
from microapp_operator.model.tier import Injection
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import Capabilities, Images, VaultSettings
from microapp_operator.view import View
from microapp_operator.wasm_runner import GUEST_ROOT, INSTANCES, LEAST_MEMORY, RESERVE, VARIABLE
from microapp_operator.wasm_runner.wire import ModuleConfig, read_config, write_config

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RUNNER = f"registry.example.com/operator@sha256:{'c' * 64}"
ALLOWED = {"wasmInContainer": True, "hardenedClassNames": ["gvisor"]}


def resolve(
    profile: str, *, classes: tuple[str, ...] = (), image: str = RUNNER, memory: str = "128Mi", **runtime: Any
) -> RuntimeChoice | Finding:
    app = make_app(runtime={"profile": profile, "resources": {"memory": memory}})
    tier = make_tier(runtime={**ALLOWED, **runtime})
    return resolve_runtime(app, tier, Capabilities(frozenset(classes)), Images(wasm_runner=image))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, RuntimeChoice(WorkloadKind.DEPLOYMENT, "", RUNNER)),
        ({"classes": ("gvisor",)}, RuntimeChoice(WorkloadKind.DEPLOYMENT, "gvisor", RUNNER)),
        ({"classes": ("gvisor", "spin", "wasmtime")}, RuntimeChoice(WorkloadKind.DEPLOYMENT, "wasmtime")),
        ({"classes": ("spin",), "wasmInContainer": False, "image": ""}, RuntimeChoice(WorkloadKind.DEPLOYMENT, "spin")),
        ({"classes": ("spin",), "memory": "16Mi"}, RuntimeChoice(WorkloadKind.DEPLOYMENT, "spin")),
    ],
    ids=["no-class", "hardened", "the-nodes-runtime-first", "without-a-runner", "small"],
)
def test_a_module_runs_in_a_container_only_where_no_class_runs_it(given: dict[str, Any], wanted: RuntimeChoice) -> None:
    assert resolve("wasm", **given) == wanted


@pytest.mark.parametrize(
    ("given", "reason", "said"),
    [
        ({"wasmInContainer": False}, Reason.RUNTIME_CLASS_NOT_FOUND, "tier doesn't allow"),
        ({"image": ""}, Reason.RUNTIME_CLASS_NOT_FOUND, "no image"),
        ({"memory": str(LEAST_MEMORY - 1)}, Reason.WASM_MEMORY_TOO_SMALL, "112Mi"),
    ],
    ids=["tier", "image", "memory"],
)
def test_where_a_container_may_not_stand_in_the_finding_says_why(
    given: dict[str, Any], reason: Reason, said: str
) -> None:
    found = resolve("wasm", **given)
    assert isinstance(found, Finding)
    assert found.reason is reason
    assert said in found.text()
    assert reason.remedy in found.text()


def test_the_runner_is_for_modules_only() -> None:
    assert resolve("container") == RuntimeChoice(WorkloadKind.DEPLOYMENT)
    assert isinstance(resolve("serverless"), Finding)


@pytest.mark.parametrize(
    ("profile", "classes", "reason", "said"),
    [
        ("wasm", (), "WasmInContainer", "no network"),
        ("wasm", ("gvisor",), "WasmInContainer", "under RuntimeClass gvisor"),
        ("wasm", ("spin",), "WasmRuntimeClass", "under RuntimeClass spin"),
        ("container", ("gvisor",), "ProfileSupported", "under RuntimeClass gvisor"),
        ("container", (), "ProfileSupported", "as any container"),
    ],
)
def test_the_condition_names_the_isolation(profile: str, classes: tuple[str, ...], reason: str, said: str) -> None:
    tier = make_tier(runtime=ALLOWED)
    around = Surroundings(
        {"low": tier}, {}, (), Capabilities(frozenset(classes)), (), images=Images(wasm_runner=RUNNER)
    )
    decision = evaluate(make_app(runtime={"profile": profile}), tier, around, NOW)
    told = {c.type: c for c in compute_status(MicroAppStatus(), View(1, decision), NOW).conditions}["RuntimeAvailable"]
    assert (told.status, told.reason) == ("True", reason)
    assert said in told.message


def test_nothing_that_is_declared_reaches_the_runner_itself() -> None:
    app = make_app(
        runtime={
            "profile": "wasm",
            "env": [{"name": "PYTHONPATH", "value": "/x"}],
            "command": ["../../m.wasm", "$(A)"],
        },
        storage=[{"name": "d", "size": "1Gi", "mountPath": "/usr/lib/python3.11"}],
    )
    choice = RuntimeChoice(WorkloadKind.DEPLOYMENT, "", RUNNER)
    spec = build_deployment(app, make_tier(), choice, Images())["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == RUNNER
    assert [e["name"] for e in container["env"]] == [VARIABLE]
    assert container["env"][0]["value"].count("$$(A)") == 1
    module, storage = container["volumeMounts"]
    assert module["readOnly"] is True
    assert storage["mountPath"] == f"{GUEST_ROOT}/usr/lib/python3.11"
    assert spec["volumes"][0]["image"] == {"reference": app.spec.runtime.image}
    assert [sorted(v) for v in spec["volumes"]] == [["image", "name"], ["name", "persistentVolumeClaim"]]


VAULT = VaultSettings(
    address="https://vault.example.com:8200",
    networks=(ip_network("192.0.2.10/32"),),
    agent_image=RUNNER,
    launcher_image=RUNNER,
)
SECRET = {"name": "api", "path": "expenses/api", "field": "token"}


@pytest.mark.parametrize("injection", Injection)
@pytest.mark.parametrize("classes", [(), ("spin",)])
def test_a_modules_secret_is_a_file_and_never_a_variable_of_what_runs_it(
    injection: Injection, classes: tuple[str, ...]
) -> None:
    tier = make_tier(runtime=ALLOWED, secrets={"injection": injection.value})
    served = Capabilities(frozenset(classes), apis=frozenset(NEEDED_APIS.values()))
    around = Surroundings({"low": tier}, {}, (), served, (), images=Images(wasm_runner=RUNNER), vault=VAULT)

    def decide(**more: str) -> Decision:
        runtime = {"profile": "wasm", "command": ["/app.wasm"]}
        return evaluate(make_app(runtime=runtime, secrets=[{**SECRET, **more}]), tier, around, NOW)

    (refused,) = decide(env="PYTHONPATH").blocked
    assert (refused.reason, refused.path) == (Reason.SECRET_NOT_DELIVERABLE, "spec.secrets[0].env")
    assert "it reads /secrets/api" in refused.message
    given = decide()
    assert given.accepted
    (deployment,) = [m for m in build_plan(given.app, tier, given.context()).workload if m["kind"] == "Deployment"]
    container = next(c for c in deployment["spec"]["template"]["spec"]["containers"] if c["name"] == "app")
    if not classes:
        assert [e["name"] for e in container["env"]] == [VARIABLE]
        assert read_config(container["env"][0]["value"]).secrets == "/secrets"
        assert container["command"] == list(COMMAND)


def test_a_variable_that_was_not_refused_is_not_rendered_for_a_module() -> None:
    app = make_app(runtime={"profile": "wasm", "command": ["/app.wasm"]}, secrets=[SECRET])
    source = SecretSource("api", SourceKind.KV, "secret", "finance/expenses/api", env="PYTHONPATH")
    deployment = build_deployment(app, make_tier(), RuntimeChoice(WorkloadKind.DEPLOYMENT, "", RUNNER), Images())
    with pytest.raises(ValueError, match="what runs the module"):
        deliver(deployment, app, make_tier(), SecretsContext((source,), VAULT))


def test_what_the_runner_is_told_fits_into_the_containers_memory() -> None:
    config = build_config(make_app(runtime={"profile": "wasm", "resources": {"memory": "200Mi"}}))
    assert config.module == "/app.wasm"
    assert RESERVE + INSTANCES * config.memory <= 200 * 2**20
    assert config.memory == 60 * 2**20


def test_the_runner_reads_what_the_operator_wrote() -> None:
    config = ModuleConfig("/a", 9000, 1, ("x", ""), (("A", 'b"\u00fc'),), ("/data",), "/secrets", 2.5)
    assert read_config(write_config(config)) == config


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"module": "/a"}', '{"arguments": [], "environment": [1]}'])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_config(text)
