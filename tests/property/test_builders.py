"""Laws of the builders, over whatever the models accept, hostile or not."""

import copy
import ipaddress
import itertools
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.golden.hostile import CONTEXT, RAW, RUNNER, TARGETS, TIER
from tests.golden.tiers import load_tiers
from tests.support.samples import make_app

from microapp_operator.constants import (
    ANNOTATION_APPLIED_HASH,
    FIELD_MANAGER,
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_CLASSIFICATION,
    LABEL_LOG_RETENTION,
    LABEL_MANAGED_BY,
    LABEL_PROFILE,
    LABEL_STAGE,
    LABEL_TENANT,
    LABEL_TIER,
)
from microapp_operator.desired.context import AddressTarget, RenderContext
from microapp_operator.desired.limits import build_limits
from microapp_operator.desired.metadata import compute_seal, namespace_name
from microapp_operator.desired.plan import Plan, build_plan
from microapp_operator.desired.quota import build_quota
from microapp_operator.model import Manifest, MicroApp, RiskTier, parse
from microapp_operator.model.quantity import parse_quantity
from microapp_operator.wasm_runner import VARIABLE
from microapp_operator.wasm_runner.wire import read_config

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
OUR_LABELS = {LABEL_MANAGED_BY, LABEL_APP_UID, LABEL_APP, LABEL_TENANT}
NAMESPACE_LABELS = {LABEL_TIER, LABEL_CLASSIFICATION, LABEL_STAGE, LABEL_PROFILE, LABEL_LOG_RETENTION} | {
    f"pod-security.kubernetes.io/{mode}{suffix}" for mode in ("enforce", "audit", "warn") for suffix in ("", "-version")
}
KNATIVE_LABELS = {"networking.knative.dev/visibility"}
FORBIDDEN_KEYS = {
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPort",
    "hostPath",
    "hostAliases",
    "hostUsers",
    "privileged",
    "procMount",
    "nodeName",
    "nodeSelector",
    "tolerations",
    "priorityClassName",
    "ownerReferences",
    "finalizers",
    "externalIPs",
    "externalName",
    "loadBalancerIP",
    "nodePort",
}
POD_VOLUMES = {"emptyDir", "persistentVolumeClaim", "image"}

laws = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every scalar and every empty container, with the way to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [leaf for key, child in items for leaf in _leaves(child, (*path, key))]
    yield from inner or [(path, value)]


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from _keys(child)
    elif isinstance(value, list):
        for child in value:
            yield from _keys(child)


def _pod(plan: Plan) -> Manifest | None:
    for manifest in plan.workload:
        if "template" in manifest.get("spec", {}):
            spec: Manifest = manifest["spec"]["template"]["spec"]
            return spec
    return None


def _plan(raw: Manifest, tier: RiskTier, context: RenderContext) -> tuple[MicroApp, Plan]:
    app = parse(MicroApp, raw)
    return app, build_plan(app, tier, context)


@laws
@given(RAW, TIER, CONTEXT)
def test_building_is_deterministic_and_changes_no_input(raw: Manifest, tier: RiskTier, context: RenderContext) -> None:
    before = copy.deepcopy(raw)
    app, plan = _plan(raw, tier, context)
    snapshot = (app.model_dump(), tier.model_dump())
    again = build_plan(app, tier, context)
    assert again == plan
    assert raw == before
    assert (app.model_dump(), tier.model_dump()) == snapshot
    plan.all()[1]["spec"]["hard"]["pods"] = "changed"
    assert build_plan(app, tier, context) == again, "manifests of two plans share state"


@laws
@given(RAW, TIER, CONTEXT)
def test_everything_is_denied_before_anything_opens(raw: Manifest, tier: RiskTier, context: RenderContext) -> None:
    _, plan = _plan(raw, tier, context)
    denials = [m for m in plan.guardrails if m["kind"] == "NetworkPolicy"]
    assert [m["spec"] for m in denials] == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    for policy in plan.openings:
        (direction,) = policy["spec"]["policyTypes"]
        (rule,) = policy["spec"][direction.lower()]
        assert set(policy["spec"]) == {"podSelector", "policyTypes", direction.lower()}
        assert rule["from" if direction == "Ingress" else "to"], "no peer would mean everyone"
        assert rule["ports"], "no port would mean every port"


@laws
@given(RAW, TIER, CONTEXT)
def test_everything_is_in_the_namespace_of_the_app_and_labelled(
    raw: Manifest, tier: RiskTier, context: RenderContext
) -> None:
    app, plan = _plan(raw, tier, context)
    home = namespace_name(app.metadata.namespace, app.metadata.name)
    ours = {
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_APP_UID: app.metadata.uid,
        LABEL_APP: app.metadata.name,
        LABEL_TENANT: app.metadata.namespace,
    }
    for manifest in plan.all():
        metadata = manifest["metadata"]
        if manifest["kind"] == "Namespace":
            assert metadata["name"] == home
            assert "namespace" not in metadata
        else:
            assert metadata["namespace"] == home
        assert ours.items() <= metadata["labels"].items()
        assert DNS_NAME.fullmatch(metadata["name"])
        assert metadata["annotations"] == {ANNOTATION_APPLIED_HASH: compute_seal(manifest)}
    assert DNS_LABEL.fullmatch(home)
    assert home.startswith("ma-")


@laws
@given(RAW, TIER, CONTEXT)
def test_no_label_but_ours_and_nothing_that_leaves_the_sandbox(
    raw: Manifest, tier: RiskTier, context: RenderContext
) -> None:
    _, plan = _plan(raw, tier, context)
    for manifest in plan.all():
        allowed = OUR_LABELS | (NAMESPACE_LABELS if manifest["kind"] == "Namespace" else set())
        allowed |= KNATIVE_LABELS if manifest["apiVersion"].startswith("serving.knative.dev") else set()
        assert set(manifest["metadata"]["labels"]) <= allowed
        assert set(manifest["metadata"]) <= {"name", "namespace", "labels", "annotations"}
        if manifest["kind"] != "ControllerRevision":
            assert not FORBIDDEN_KEYS & set(_keys(manifest))
        template = manifest.get("spec", {}).get("template")
        if template:
            assert set(template["metadata"]["labels"]) == OUR_LABELS
    namespace = plan.namespace["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


@laws
@given(RAW, TIER, CONTEXT)
def test_every_pod_is_hardened(raw: Manifest, tier: RiskTier, context: RenderContext) -> None:
    app, plan = _plan(raw, tier, context)
    pod = _pod(plan)
    assume(pod is not None)
    assert pod is not None
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["serviceAccountName"] == app.metadata.name
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert all(parse_quantity(q) > 0 for q in container["resources"]["limits"].values())
    assert len({m["name"] for m in container["volumeMounts"]}) == len(container["volumeMounts"])
    assert {v["name"] for v in pod["volumes"]} == {m["name"] for m in container["volumeMounts"]}
    assert all(DNS_LABEL.fullmatch(v["name"]) and set(v) & POD_VOLUMES for v in pod["volumes"])
    assert all(".." not in m["mountPath"].split("/") for m in container["volumeMounts"])


@laws
@given(RAW, TIER, CONTEXT)
def test_what_is_declared_reaches_the_process_literally(raw: Manifest, tier: RiskTier, context: RenderContext) -> None:
    app, plan = _plan(raw, tier, context)
    pod = _pod(plan)
    assume(pod is not None)
    assert pod is not None
    (container,) = pod["containers"]
    expanded = {e["name"]: _expand(e["value"]) for e in container.get("env", ())}
    if container["image"] == RUNNER:
        told = read_config(expanded.pop(VARIABLE))
        assert expanded == {}
        assert dict(told.environment) == {e.name: e.value for e in app.spec.runtime.env}
        assert told.arguments == app.spec.runtime.command[1:]
        return
    assert expanded == {e.name: e.value for e in app.spec.runtime.env}
    assert [_expand(c) for c in container.get("command", ())] == list(app.spec.runtime.command)


def _expand(text: str) -> str:
    """What the kubelet makes of it with no variable it could know (third_party/forked/golang/expansion)."""
    out, cursor = "", 0
    while cursor < len(text):
        if text[cursor : cursor + 2] == "$$":
            out, cursor = out + "$", cursor + 2
        else:
            assert text[cursor : cursor + 2] != "$(", "would be expanded"
            out, cursor = out + text[cursor], cursor + 1
    return out


@laws
@given(RAW, TIER, CONTEXT)
def test_a_peer_is_selected_by_name_and_by_whose_it_is(raw: Manifest, tier: RiskTier, context: RenderContext) -> None:
    app, plan = _plan(raw, tier, context)
    wanted = {(p.micro_app.namespace, p.micro_app.name) for p in app.spec.ingress.from_}
    wanted |= {t.peer for t in context.targets if t.peer is not None}
    found = set()
    for policy in plan.openings:
        for rule in (*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())):
            for peer in (*rule.get("from", ()), *rule.get("to", ())):
                if "ipBlock" in peer or policy["metadata"]["name"] == "allow-dns":
                    continue
                space, pods = peer["namespaceSelector"]["matchLabels"], peer["podSelector"]["matchLabels"]
                whose = (space[LABEL_TENANT], space[LABEL_APP])
                assert space["kubernetes.io/metadata.name"] == namespace_name(*whose)
                assert (pods[LABEL_TENANT], pods[LABEL_APP]) == whose
                found.add(whose)
    assert found == wanted


@laws
@given(RAW, TIER, TARGETS)
def test_metadata_addresses_stay_closed(raw: Manifest, tier: RiskTier, targets: tuple[AddressTarget, ...]) -> None:
    _, plan = _plan(raw, tier, RenderContext(targets=targets))
    for policy in plan.openings:
        for rule in policy["spec"].get("egress", ()):
            for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                network = ipaddress.ip_network(block["cidr"])
                for text in ("169.254.169.254", "fe80::1", "fd00:ec2::254"):
                    address = ipaddress.ip_address(text)
                    holes = [ipaddress.ip_network(e) for e in block.get("except", ())]
                    assert address not in network or any(address in hole for hole in holes)


@laws
@given(TIER)
def test_limits_never_exceed_the_quota(tier: RiskTier) -> None:
    app = make_app()
    hard = build_quota(app, tier)["spec"]["hard"]
    container, claim = build_limits(app, tier)["spec"]["limits"]
    for resource in ("cpu", "memory"):
        least, default, asked, most = (
            parse_quantity(container[field][resource]) for field in ("min", "default", "defaultRequest", "max")
        )
        assert Decimal(0) <= least <= asked == default <= most <= parse_quantity(hard[f"limits.{resource}"])
        assert hard[f"limits.{resource}"] == hard[f"requests.{resource}"]
        reserve = parse_quantity(getattr(tier.spec.sidecar_reserve, resource))
        assert most == 0 or most + reserve <= parse_quantity(getattr(tier.spec.quota, resource))
    assert parse_quantity(claim["max"]["storage"]) <= parse_quantity(hard["requests.storage"])


def test_a_riskier_tier_has_at_least_the_room_of_a_lesser_one() -> None:
    tiers = sorted(load_tiers().values(), key=lambda t: t.spec.rank)
    assert [t.metadata.name for t in tiers] == ["low", "medium", "high"]
    hard = [build_quota(make_app(), tier)["spec"]["hard"] for tier in tiers]
    largest = [build_limits(make_app(), tier)["spec"]["limits"][0]["max"] for tier in tiers]
    for lesser, greater in (*itertools.pairwise(hard), *itertools.pairwise(largest)):
        assert all(parse_quantity(greater[key]) >= parse_quantity(lesser[key]) for key in lesser)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(RAW, TIER, CONTEXT, st.data())
def test_changing_any_leaf_changes_the_seal(
    raw: Manifest, tier: RiskTier, context: RenderContext, data: st.DataObject
) -> None:
    _, plan = _plan(raw, tier, context)
    manifest = data.draw(st.sampled_from(plan.all()))
    sealed = compute_seal(manifest)
    seal_path = ("metadata", "annotations", ANNOTATION_APPLIED_HASH)
    for path, _ in _leaves(manifest):
        changed = copy.deepcopy(manifest)
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = "changed by someone"
        assert (compute_seal(changed) == sealed) == (path == seal_path), path
