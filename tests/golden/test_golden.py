"""From a MicroApp to its children: one case per tier and profile, one golden file per kind of child."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.golden.tiers import load_tiers

from microapp_operator.desired.context import AddressTarget, LoggingContext, RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.plan import build_plan
from microapp_operator.model import Manifest, MicroApp, Profile, parse
from microapp_operator.model.common import Protocol
from microapp_operator.model.status import Entrypoint
from microapp_operator.settings import Images, LoggingSettings

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/input.yaml"))
TIERS = load_tiers()
INPUT = "input.yaml"


class _Plain(yaml.SafeDumper):
    """Block style without anchors: what a person compares."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _dump(manifests: Iterable[Manifest]) -> str:
    return yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False, width=110, explicit_start=True)


def _runtime(raw: Manifest) -> RuntimeChoice:
    entrypoint = Entrypoint.model_validate(raw["entrypoint"]) if "entrypoint" in raw else None
    return RuntimeChoice(WorkloadKind(raw["kind"]), raw.get("runtimeClass", ""), raw.get("wasmRunner", ""), entrypoint)


def _logging(raw: Manifest | None, app: MicroApp) -> LoggingContext | None:
    if raw is None:
        return None
    settings = LoggingSettings.model_validate(raw["settings"])
    return LoggingContext(settings, raw["address"], app.spec.logging.source)


def _context(raw: Manifest, app: MicroApp) -> RenderContext:
    return RenderContext(
        targets=tuple(
            AddressTarget(
                name=t["name"],
                ports=tuple(t["ports"]),
                protocol=Protocol(t["protocol"]),
                cidrs=tuple(t.get("cidrs", ())),
                peer=(t["peer"][0], t["peer"][1]) if "peer" in t else None,
            )
            for t in raw.get("targets", ())
        ),
        runtime=_runtime(raw["runtime"]) if "runtime" in raw else None,
        images=Images(**raw.get("images", {})),
        logging=_logging(raw.get("logging"), app),
    )


def render(case: str) -> dict[str, str]:
    """File name to content, for each kind of child that ``case`` has."""
    given = yaml.safe_load((HERE / case / INPUT).read_text())
    app = parse(MicroApp, given["microApp"])
    plan = build_plan(app, TIERS[given["tier"]], _context(given["context"], app))
    kinds: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in plan.all():
        kind = manifest["kind"].lower()
        kinds["knativeservice" if manifest["apiVersion"].startswith("serving.knative.dev") else kind].append(manifest)
    return {f"{kind}.yaml": _dump(manifests) for kind, manifests in kinds.items()}


def compare(folder: Path, rendered: dict[str, str], *, golden_update: bool) -> None:
    """Hold what was rendered against the files in ``folder``, or write them."""
    if golden_update:
        for stale in folder.glob("*.yaml"):
            if stale.name != INPUT:
                stale.unlink()
        for name, text in rendered.items():
            (folder / name).write_text(text)
    golden = {path.name: path.read_text() for path in folder.glob("*.yaml") if path.name != INPUT}
    assert sorted(golden) == sorted(rendered), "stale or missing golden files; rewrite with --golden-update"
    for name, text in rendered.items():
        assert text == golden[name], f"{folder.name}/{name}"


@pytest.mark.parametrize("case", CASES)
def test_children(case: str, golden_update: bool) -> None:
    compare(HERE / case, render(case), golden_update=golden_update)


def test_every_tier_with_every_profile_has_a_case() -> None:
    wanted = [f"{tier}-{profile}" for tier in TIERS for profile in Profile]
    contained = [f"{name}-wasm-in-container" for name, tier in TIERS.items() if tier.spec.runtime.wasm_in_container]
    assert sorted(wanted + contained) == CASES


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_what_its_name_says(case: str) -> None:
    given = yaml.safe_load((HERE / case / INPUT).read_text())
    app = parse(MicroApp, given["microApp"])
    contained = "-in-container" if given["context"]["runtime"].get("wasmRunner") else ""
    assert case == f"{given['tier']}-{app.spec.runtime.profile}{contained}"
    assert app.spec.risk_tier == given["tier"]


def test_the_cases_together_have_every_kind() -> None:
    names = {name.removesuffix(".yaml") for case in CASES for name in render(case)}
    assert names == {
        "namespace",
        "resourcequota",
        "limitrange",
        "networkpolicy",
        "serviceaccount",
        "rolebinding",
        "controllerrevision",
        "persistentvolumeclaim",
        "deployment",
        "service",
        "knativeservice",
        "poddisruptionbudget",
    }
