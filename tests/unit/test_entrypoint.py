"""What an app runs where its spec doesn't say, when that is asked, and what waits for the answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.samples import make_app, make_tier
from tests.unit.test_forwarding import GATEWAY, NOW
from tests.unit.test_secrets import VAULT

from microapp_operator.conditions import compute_status
from microapp_operator.decide.decision import Decision, Surroundings, evaluate
from microapp_operator.decide.entrypoint import Answer, ImageProcess, build_unknown, judge_image
from microapp_operator.errors import Blocked, OperatorError, Transient
from microapp_operator.model.image import ImageName, parse_image
from microapp_operator.model.status import Entrypoint, MicroAppStatus
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.reasons import Finding, Reason
from microapp_operator.reconcile.entrypoints import KEPT, EntrypointLane
from microapp_operator.reconcile.queue import Key, WorkQueue
from microapp_operator.settings import Capabilities
from microapp_operator.view import View

DIGEST = f"sha256:{'1' * 64}"
IMAGE = f"registry.example.com/app@{DIGEST}"
KNOWN = Entrypoint(image=IMAGE, command=("/docker-entrypoint.sh",), args=("server",))
UNKNOWN = build_unknown("registry.example.com/app is not to be had (404 MANIFEST_UNKNOWN)")


@pytest.mark.parametrize(
    ("image", "host", "repository"),
    [
        ("registry.example.com/app", "registry.example.com", "app"),
        ("registry.example.com:5000/a/b__c/d-e.f", "registry.example.com:5000", "a/b__c/d-e.f"),
        ("registry.example.com/app:v1.2", "registry.example.com", "app"),
        ("localhost/app", "localhost", "app"),
        ("localhost:5000/app:v1", "localhost:5000", "app"),
        ("nginx", "docker.io", "library/nginx"),
        ("nginx:1.29", "docker.io", "library/nginx"),
        ("bitnami/nginx", "docker.io", "bitnami/nginx"),
        ("docker.io/nginx", "docker.io", "library/nginx"),
        ("index.docker.io/library/nginx", "docker.io", "library/nginx"),
    ],
)
def test_names_are_read_as_the_container_runtime_does(image: str, host: str, repository: str) -> None:
    assert parse_image(f"{image}@{DIGEST}") == ImageName(host, repository, DIGEST)


@pytest.mark.parametrize(
    "image",
    [
        "registry.example.com/app",
        "registry.example.com/app:v1",
        "registry.example.com/app@sha256:1",
        f"registry.example.com/app@sha512:{'1' * 128}",
        f"registry.example.com/../app@{DIGEST}",
        f"registry.example.com/./app@{DIGEST}",
        f"registry.example.com//app@{DIGEST}",
        f"registry.example.com/App@{DIGEST}",
        f"registry.example.com/app?x@{DIGEST}",
        f"registry.example.com/app%2f@{DIGEST}",
        f"user@registry.example.com/app@{DIGEST}",
        f"registry.example.com:80:80/app@{DIGEST}",
        f"registry.example.com/app:@{DIGEST}",
        f"registry.example.com/\u0131@{DIGEST}",
        f"@{DIGEST}",
    ],
)
def test_nothing_else_is_a_name(image: str) -> None:
    assert parse_image(image) is None


def _process(entrypoint: Sequence[str] = (), cmd: Sequence[str] = (), platform: str = "linux/amd64") -> ImageProcess:
    return ImageProcess(platform, tuple(entrypoint), tuple(cmd))


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "command", "args"),
    [
        (["/app"], [], ["/app"], []),
        (["/app"], ["--port", "80"], ["/app"], ["--port", "80"]),
        ([], ["python", "main.py"], ["python", "main.py"], []),
        ([""], ["python"], ["python"], []),
    ],
)
def test_an_image_runs_its_entrypoint_and_cmd_as_kubernetes_has_it(
    entrypoint: list[str], cmd: list[str], command: list[str], args: list[str]
) -> None:
    said = [_process(entrypoint, cmd), _process(entrypoint, cmd, "linux/arm64")]
    assert judge_image(IMAGE, said) == Entrypoint(image=IMAGE, command=tuple(command), args=tuple(args))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "nothing for Linux"),
        ([_process()], "neither ENTRYPOINT nor CMD"),
        ([_process([""])], "neither ENTRYPOINT nor CMD"),
        (
            [_process(["/amd"]), _process(["/arm"], platform="linux/arm64")],
            "['/amd'] on linux/amd64, ['/arm'] on linux/arm64",
        ),
        ([_process(["/a"], ["b"]), _process([], ["/a", "b"], "linux/arm64")], "doesn't run the same"),
        ([_process(["/a\0b"])], "NUL"),
        ([_process(["/a", *["b"] * 257])], "256 words"),
        ([_process(["/a"], ["b" * 16_384])], "16384 characters"),
    ],
)
def test_what_cannot_be_said_of_an_image_is_said_why(said: list[ImageProcess], words: str) -> None:
    found = judge_image(IMAGE, said)
    assert isinstance(found, Finding)
    assert found.reason is Reason.ENTRYPOINT_UNKNOWN
    assert words in found.message
    assert len(found.message) < 1024


def _decide(
    answer: Answer | None = None, *, status: Entrypoint | None = None, vault: bool = False, **spec: Any
) -> Decision:
    """With a log gateway, or with Vault, unless both are asked for."""
    gateway, injection = spec.pop("gateway", None if vault else GATEWAY), spec.pop("injection", "Rendered")
    runtime = {"image": IMAGE, **spec.pop("runtime", {})}
    app = make_app(**spec, runtime=runtime)
    app = app.model_copy(update={"status": MicroAppStatus(entrypoint=status)})
    around = Surroundings(
        tiers={},
        connectors={},
        approvals=(),
        capabilities=Capabilities(knative=True, apis=frozenset({"secrets.hashicorp.com/v1beta1"})),
        reserved=(),
        settings=PolicySettings(registries=("registry.example.com/",)),
        gateway=gateway,
        vault=VAULT if vault else None,
        entrypoints={IMAGE: answer} if answer else {},
    )
    return evaluate(app, make_tier("low", secrets={"injection": injection}), around, NOW)


VARIABLE = [{"name": "api", "path": "expenses/api", "env": "TOKEN"}]
NEEDS = [
    pytest.param({}, id="records"),
    pytest.param({"logging": {"source": "file"}}, id="records in a file"),
    pytest.param({"vault": True, "secrets": VARIABLE}, id="a variable"),
]


@pytest.mark.parametrize("spec", NEEDS)
def test_the_workload_waits_until_the_answer_stands_in_status(spec: dict[str, Any]) -> None:
    """And only then is it rendered: a restart that finds the registry away must render the same."""
    waiting = _decide(**spec)
    assert waiting.entrypoint.asks == IMAGE
    assert waiting.accepted
    assert waiting.context().runtime is None
    learned = _decide(KNOWN, **spec)
    assert learned.context().runtime is None
    assert learned.entrypoint.to_keep(None) == KNOWN
    known = _decide(status=KNOWN, **spec)
    assert known.entrypoint.asks == ""
    assert known.runtime is not None
    assert known.context().runtime == known.runtime
    assert known.runtime.entrypoint == KNOWN
    assert known.accepted


def test_while_it_waits_the_app_says_so() -> None:
    waiting = _decide()
    status = compute_status(MicroAppStatus(), View(generation=1, decision=waiting), NOW)
    (forwarding,) = [c for c in status.conditions if c.type == "LogForwarding"]
    assert (forwarding.status, forwarding.reason) == ("Unknown", "Progressing")
    assert IMAGE in forwarding.message


def test_without_an_answer_records_are_given_up_and_the_app_runs() -> None:
    decision = _decide(UNKNOWN)
    assert decision.entrypoint.asks == IMAGE, "it is asked on"
    assert decision.accepted
    assert decision.context().runtime is not None
    assert decision.logging is None
    assert decision.logging_finding == UNKNOWN
    assert "404 MANIFEST_UNKNOWN" in UNKNOWN.text()
    assert "spec.runtime.command" in UNKNOWN.text()


def test_without_an_answer_an_app_that_needs_a_variable_is_held() -> None:
    decision = _decide(UNKNOWN, vault=True, secrets=VARIABLE)
    (refused,) = decision.blocked
    assert refused.path == "spec.secrets[0].env"
    assert "404 MANIFEST_UNKNOWN" in refused.message
    assert decision.entrypoint.asks == IMAGE, "it is asked on"


def test_without_an_answer_a_copied_variable_is_had_all_the_same() -> None:
    """Kubernetes sets it, and no launcher."""
    secrets = [{**VARIABLE[0], "field": "token"}]
    decision = _decide(UNKNOWN, vault=True, gateway=GATEWAY, injection="VaultSecretsOperator", secrets=secrets)
    assert decision.logging_finding == UNKNOWN
    assert decision.secrets is not None
    assert decision.accepted


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"runtime": {"command": ["/app"]}}, id="the spec says it"),
        pytest.param({"logging": {"source": "otlp"}}, id="nothing is put before it"),
        pytest.param({"runtime": {"profile": "wasm"}}, id="a module"),
        pytest.param({"runtime": {"profile": "serverless"}}, id="serverless"),
        pytest.param({"vault": True, "secrets": [{**VARIABLE[0], "env": None}]}, id="a secret in a file"),
        pytest.param({"storage": [{"name": "v", "size": "1Gi", "mountPath": "/microapps.dev"}]}, id="in the way"),
    ],
)
def test_nobody_is_asked_and_nothing_kept_where_it_need_not_be_known(spec: dict[str, Any]) -> None:
    decision = _decide(status=KNOWN, **spec)
    assert decision.entrypoint.asks == ""
    assert decision.entrypoint.to_keep(KNOWN) is None
    assert decision.runtime is None or decision.runtime.entrypoint is None


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (f"registry.example.com.evil.org/app@{DIGEST}", "none of the registries"),
        (f"169.254.169.254/app@{DIGEST}", "none of the registries"),
        (f"nginx@{DIGEST}", "none of the registries"),
        ("registry.example.com/app:v1", "isn't named by digest"),
    ],
)
def test_no_registry_but_those_of_the_admins_is_asked(image: str, words: str) -> None:
    decision = _decide(runtime={"image": image})
    assert decision.entrypoint.asks == ""
    assert decision.logging_finding is not None
    assert words in decision.logging_finding.message
    assert decision.accepted


def test_what_status_says_of_another_image_does_not_count() -> None:
    other = KNOWN.model_copy(update={"image": f"registry.example.com/app@sha256:{'2' * 64}"})
    decision = _decide(status=other)
    assert decision.entrypoint.known is None
    assert decision.entrypoint.to_keep(other) == other, "until the new one is known"


def test_apps_that_say_what_they_run_are_rendered_from_what_they_were_before() -> None:
    runtime = {"command": ["/app"]}
    assert _decide(runtime=runtime).inputs_hash() == _decide(KNOWN, runtime=runtime).inputs_hash()
    assert _decide(status=KNOWN).inputs_hash() != _decide(UNKNOWN).inputs_hash()


@dataclass
class Registries:
    """``ports.ImageRegistries`` that answers as it is told, by repository; what it isn't told of hangs."""

    answers: dict[str, list[OperatorError | Exception | list[ImageProcess]]]
    asked: list[str] = field(default_factory=list)

    async def read(self, image: ImageName) -> Sequence[ImageProcess]:
        self.asked.append(image.repository)
        told = self.answers.get(image.repository)
        if not told:
            await asyncio.get_running_loop().create_future()
            raise AssertionError("nobody ends that")
        answer = told.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _image(repository: str = "app", host: str = "registry.example.com") -> str:
    return f"{host}/{repository}@{DIGEST}"


class Lane:
    """One that runs, with what it has told."""

    def __init__(self, registries: Registries, patience: float = 60.0) -> None:
        self.news: asyncio.Queue[Key] = asyncio.Queue()
        queue = WorkQueue(base=0.0, limit=0.0)
        self.lane = EntrypointLane(registries, self.news.put_nowait, patience, queue)

    async def __aenter__(self) -> "Lane":
        self.lane.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.lane.stop()

    def want(self, app: str, *images: str) -> None:
        self.lane.want(("finance", app), frozenset(images))

    async def told(self, image: str) -> Answer:
        await self.news.get()
        return self.lane.answers[image]


APP = [_process(["/app"])]


async def test_an_image_is_asked_about_once_however_many_apps_have_it() -> None:
    registries = Registries({"app": [APP]})
    async with Lane(registries) as lane:
        lane.want("one", _image())
        lane.want("two", _image())
        lane.want("one", _image())
        assert {await lane.news.get(), await lane.news.get()} == {("finance", "one"), ("finance", "two")}
        assert lane.lane.answers == {_image(): Entrypoint(image=_image(), command=("/app",))}
    assert registries.asked == ["app"]


async def test_a_trouble_that_passes_is_not_told_while_apps_are_patient() -> None:
    registries = Registries({"app": [Transient("away"), Transient("away"), APP]})
    async with Lane(registries) as lane:
        lane.want("one", _image())
        assert isinstance(await lane.told(_image()), Entrypoint)
        assert lane.news.empty()


async def test_one_that_lasts_is_told_when_patience_is_at_an_end_and_the_answer_when_it_comes() -> None:
    registries = Registries({"app": []})
    async with Lane(registries, patience=0.0) as lane:
        lane.want("one", _image())
        silent = await lane.told(_image())
        assert isinstance(silent, Finding)
        assert "has not answered within" in silent.message
    registries = Registries({"app": [Transient("the registry is away")] * 500 + [APP]})
    async with Lane(registries, patience=0.0) as lane:
        lane.want("one", _image())
        assert isinstance(await lane.told(_image()), Finding)
        while isinstance(lane.lane.answers[_image()], Finding):
            await lane.news.get()


async def test_a_refusal_is_told_at_once() -> None:
    refusal = Blocked(Finding(Reason.ENTRYPOINT_UNKNOWN, "", "the operator may not read it (401)"))
    async with Lane(Registries({"app": [refusal]})) as lane:
        lane.want("one", _image())
        told = await lane.told(_image())
        assert isinstance(told, Finding)
        assert "may not read it (401)" in told.message


async def test_a_registry_that_hangs_holds_up_no_other() -> None:
    async with Lane(Registries({"app": [APP]})) as lane:
        for number in range(100):
            lane.want(f"hanging-{number}", _image(f"hangs-{number}", "hanging.example.com"))
        lane.want("one", _image())
        assert await lane.news.get() == ("finance", "one")


async def test_a_fault_of_ours_met_by_one_image_stops_no_other() -> None:
    async with Lane(Registries({"bad": [RuntimeError("a bug"), APP], "app": [APP]})) as lane:
        lane.want("one", _image("bad"))
        lane.want("two", _image())
        assert {await lane.news.get(), await lane.news.get()} == {("finance", "one"), ("finance", "two")}


async def test_what_nobody_waits_for_any_more_is_not_asked_and_what_is_known_of_it_is_dropped() -> None:
    refusal = Blocked(Finding(Reason.ENTRYPOINT_UNKNOWN, "", "no"))
    registries = Registries({"refused": [refusal, APP], "app": [APP]})
    async with Lane(registries) as lane:
        lane.want("one", _image("refused"))
        assert isinstance(await lane.told(_image("refused")), Finding)
        lane.want("one", _image())
        assert isinstance(await lane.told(_image()), Entrypoint)
        assert set(lane.lane.answers) == {_image()}
        lane.want("one")
        assert set(lane.lane.answers) == {_image()}, "for the next app with the same image"


async def test_no_more_is_kept_than_there_is_room_for_and_the_oldest_goes_first() -> None:
    names = [f"app-{number}" for number in range(KEPT + 2)]
    async with Lane(Registries({name: [APP] for name in names})) as lane:
        for name in names:
            lane.want("one", _image(name))
            assert isinstance(await lane.told(_image(name)), Entrypoint)
        assert list(lane.lane.answers) == [_image(name) for name in names[2:]]


async def test_who_asks_for_what_has_just_become_known_is_told_at_once() -> None:
    registries = Registries({"app": [APP]})
    async with Lane(registries) as lane:
        lane.want("one", _image())
        await lane.news.get()
        lane.want("two", _image())
        assert await lane.news.get() == ("finance", "two")
    assert registries.asked == ["app"]
