"""Whatever app is declared: what forwards its records adds to its pod, and takes nothing from it."""

from typing import Any

from hack.samples import IMAGE
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.golden.hostile import RAW, RUNNER, TIER
from tests.unit.test_forwarding import GATEWAY

from microapp_operator.decide.forwarding import resolve_forwarding
from microapp_operator.desired.context import LoggingContext, RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.forwarding.pods import CONTAINER, SPOOL
from microapp_operator.desired.launching import PROGRAM
from microapp_operator.desired.plan import build_plan
from microapp_operator.desired.sizes import Size, parse_size
from microapp_operator.model import Manifest, MicroApp, RiskTier, parse
from microapp_operator.model.microapp import LogSource
from microapp_operator.model.quantity import parse_quantity
from microapp_operator.model.status import Entrypoint
from microapp_operator.settings import Images

laws = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
CHOICE = st.builds(RuntimeChoice, kind=st.just(WorkloadKind.DEPLOYMENT), wasm_runner=st.sampled_from(["", RUNNER]))
WORDS = st.lists(st.text(max_size=10), max_size=3).map(tuple)
ENTRYPOINT = st.builds(Entrypoint, image=st.just(IMAGE), command=WORDS.filter(bool), args=WORDS)


def _pods(
    raw: Manifest, tier: RiskTier, runtime: RuntimeChoice, source: str, images: Images | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pod specs without forwarding, and with it; of an app whose spec says what it runs."""
    raw = {**raw, "spec": {**raw["spec"], "logging": {"source": source}}}
    app = parse(MicroApp, raw)
    assume(app.spec.runtime.command or runtime.entrypoint or runtime.wasm_runner or source == LogSource.OTLP)
    found = resolve_forwarding(app, runtime, GATEWAY)
    assume(isinstance(found, LoggingContext))
    assert isinstance(found, LoggingContext)
    beside = images or Images()
    plans = [
        build_plan(app, tier, RenderContext(runtime=runtime, images=beside, logging=each)) for each in (None, found)
    ]
    before, after = (
        next(m for m in plan.workload if m["kind"] == "Deployment")["spec"]["template"]["spec"] for plan in plans
    )
    return before, after


@laws
@given(RAW, TIER, CHOICE, st.sampled_from(LogSource))
def test_the_app_itself_runs_as_before(
    raw: Manifest, tier: RiskTier, runtime: RuntimeChoice, source: LogSource
) -> None:
    before, after = _pods(raw, tier, runtime, source)
    (was,), (now,) = before["containers"], after["containers"]
    assert {k: now[k] for k in ("image", "resources", "securityContext")} == {
        k: was[k] for k in ("image", "resources", "securityContext")
    }
    assert [e for e in now.get("env", ()) if e in was.get("env", ())] == was.get("env", [])
    assert all(mount in now["volumeMounts"] for mount in was["volumeMounts"])
    assert all(volume in after["volumes"] for volume in before["volumes"])
    if source is LogSource.OTLP:
        assert now.get("command") == was.get("command")
    else:
        assert now["command"][:2] == [PROGRAM, "run"]
        assert now["command"][now["command"].index("--") + 1 :] == was["command"]


@laws
@given(RAW, TIER, CHOICE, st.sampled_from(LogSource))
def test_what_is_added_is_confined_and_fits_beside_the_app(
    raw: Manifest, tier: RiskTier, runtime: RuntimeChoice, source: LogSource
) -> None:
    before, after = _pods(raw, tier, runtime, source)
    added = [c for c in after.get("initContainers", ()) if c not in before.get("initContainers", ())]
    (sidecar,) = [c for c in added if c.get("restartPolicy") == "Always"]
    reserve = tier.spec.sidecar_reserve
    assert sidecar["name"] == CONTAINER
    for container in added:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["runAsUser"] > 0
        size = parse_size(reserve.cpu, reserve.memory).render()
        assert container["resources"] == {"requests": size, "limits": size}
    names = [v["name"] for v in after["volumes"]]
    assert len(set(names)) == len(names)
    before_paths = {m["mountPath"] for m in before["containers"][0]["volumeMounts"]}
    mounted = [m for m in after["containers"][0]["volumeMounts"] if m not in before["containers"][0]["volumeMounts"]]
    assert not before_paths & {m["mountPath"] for m in mounted}
    assert all("sizeLimit" in v["emptyDir"] for v in after["volumes"] if "emptyDir" in v)


@laws
@given(RAW, TIER, CHOICE, st.sampled_from(LogSource))
def test_a_pod_counts_no_more_than_its_app_and_what_the_tier_keeps_for_sidecars(
    raw: Manifest, tier: RiskTier, runtime: RuntimeChoice, source: LogSource
) -> None:
    """What a quota counts (KEP-753): a sidecar adds to each init container after it. The tier's room is planned so."""
    quota = parse_size(tier.spec.quota.cpu, tier.spec.quota.memory)
    _, after = _pods(raw, tier, runtime, source, Images(gate=RUNNER))
    (app,) = after["containers"]
    running = parse_size("0", "0")
    most = running
    for container in after["initContainers"]:
        size = _size(container)
        most = most.at_least(running.plus(size))
        running = running.plus(size) if container.get("restartPolicy") == "Always" else running
    reserve = parse_size(tier.spec.sidecar_reserve.cpu, tier.spec.sidecar_reserve.memory)
    allowed = _size(app).plus(parse_size(**reserve.render())).at_least(reserve)
    assume(allowed.fits(quota))
    assert most.at_least(running.plus(_size(app))).fits(allowed)


@laws
@given(RAW, TIER, ENTRYPOINT, st.sampled_from([LogSource.STDOUT, LogSource.FILE]))
def test_what_an_image_runs_is_run_word_by_word_where_the_spec_says_nothing(
    raw: Manifest, tier: RiskTier, entrypoint: Entrypoint, source: LogSource
) -> None:
    raw = {**raw, "spec": {**raw["spec"], "runtime": {**raw["spec"]["runtime"], "command": [], "profile": "container"}}}
    choice = RuntimeChoice(WorkloadKind.DEPLOYMENT, entrypoint=entrypoint)
    _, after = _pods(raw, tier, choice, source)
    (app,) = after["containers"]
    words = [*app["command"][app["command"].index("--") + 1 :], *app.get("args", ())]
    assert [word.replace("$$", "$") for word in words] == [*entrypoint.command, *entrypoint.args]


def _size(container: Manifest) -> Size:
    return parse_size(**container["resources"]["requests"])


@laws
@given(RAW, TIER)
def test_records_that_wait_take_less_than_half_of_their_volume(raw: Manifest, tier: RiskTier) -> None:
    """A volume that is full costs the pod (core/v1 emptyDir)."""
    _, after = _pods(raw, tier, RuntimeChoice(WorkloadKind.DEPLOYMENT), "stdout")
    (container,) = after["containers"]
    room = int(container["command"][container["command"].index("--room") + 1])
    (name,) = [m["name"] for m in container["volumeMounts"] if m["mountPath"] == SPOOL]
    (volume,) = [v for v in after["volumes"] if v["name"] == name]
    assert 2 * room < parse_quantity(volume["emptyDir"]["sizeLimit"])
