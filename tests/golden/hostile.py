"""MicroApps, tiers and contexts as strategies: whatever the models accept, hostile or not."""

from typing import Any

from hack.samples import IMAGE
from hypothesis import strategies as st
from tests.support.samples import make_tier

from microapp_operator.constants import ANNOTATION_APPLIED_HASH, LABEL_APP, LABEL_MANAGED_BY, LABEL_TENANT
from microapp_operator.desired.context import AddressTarget, RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.model.common import Protocol

NASTY = st.sampled_from(
    [
        "{{ .Values.x }}",
        "${HOME}",
        "$(KUBERNETES_SERVICE_HOST)",
        "$$(X)",
        "../../etc/passwd",
        "a\n---\nkind: Pod",
        "hostNetwork: true",
        "kube-system",
        "\u202e\x00",
        "'; drop --",
        "!!python/object:os.system",
    ]
)
TEXT = NASTY | st.text(max_size=40)
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True) | st.sampled_from(
    ["kube-system", "default", "tmp", "app", "default-deny", "x" * 63]
)
APP_NAME = st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True)
LONG_LABEL = st.from_regex(r"[a-z]([-a-z0-9]{25,50}[a-z0-9])", fullmatch=True)
CPU = st.integers(1, 4000).map(lambda n: f"{n}m") | st.sampled_from(["1", "0.5", "0.5m", "1000.125m"])
MEMORY = st.integers(1, 8192).map(lambda n: f"{n}Mi") | st.sampled_from(["1Gi", "100m", "1G", "0.125Ki"])
PATH = st.from_regex(r"/[A-Za-z0-9._/-]{1,30}", fullmatch=True) | st.sampled_from(["/tmp", "/proc", "/a/../../tmp/"])
ENV_NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
UID = st.uuids().map(str)


def _named(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries({"name": LABEL, **fields}), max_size=3, unique_by=lambda item: str(item["name"])
    )


RUNTIME = st.fixed_dictionaries(
    {
        "profile": st.sampled_from(["container", "wasm", "serverless"]),
        "image": st.just(IMAGE),
        "command": st.lists(TEXT, max_size=3),
        "port": st.integers(1025, 65535),
        "replicas": st.integers(0, 100),
        "env": st.lists(
            st.fixed_dictionaries({"name": ENV_NAME, "value": TEXT}), max_size=3, unique_by=lambda e: str(e["name"])
        ),
        "resources": st.fixed_dictionaries({"cpu": CPU, "memory": MEMORY}),
    }
)
REFS = st.fixed_dictionaries({"namespace": LABEL, "name": LABEL})
SPEC = st.fixed_dictionaries(
    {
        "description": TEXT,
        "owner": st.fixed_dictionaries(
            {
                "team": st.from_regex(r"[a-z0-9]([-a-z0-9_.]{0,20}[a-z0-9])?", fullmatch=True),
                "contact": st.just("someone@example.com"),
            }
        ),
        "riskTier": LABEL,
        "dataClassification": st.sampled_from(["public", "internal", "confidential", "restricted"]),
        "stage": st.sampled_from(["sandbox", "staging", "production"]),
        "runtime": RUNTIME,
        "ingress": st.fixed_dictionaries({"from": st.lists(st.fixed_dictionaries({"microApp": REFS}), max_size=3)}),
        "storage": _named(size=MEMORY, mountPath=PATH),
        "suspend": st.booleans(),
    }
)
FOREIGN = st.dictionaries(
    st.sampled_from(
        [
            LABEL_MANAGED_BY,
            LABEL_APP,
            LABEL_TENANT,
            ANNOTATION_APPLIED_HASH,
            "app.kubernetes.io/instance",
            "argocd.argoproj.io/tracking-id",
            "kustomize.toolkit.fluxcd.io/name",
            "pod-security.kubernetes.io/enforce",
        ]
    ),
    TEXT,
)
RAW = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {"name": APP_NAME, "namespace": LABEL, "uid": UID, "labels": FOREIGN, "annotations": FOREIGN}
        ),
        "spec": SPEC,
    }
)
CIDR = st.sampled_from(["203.0.113.0/24", "198.51.100.7/32", "0.0.0.0/0", "::/0", "2001:db8::/32"]) | st.tuples(
    st.integers(1, 168), st.integers(0, 255)
).map(lambda p: f"{p[0]}.{p[1]}.0.0/16")
ROOM = st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True).map(tuple)
TARGETS = st.lists(
    st.builds(
        AddressTarget,
        name=LABEL,
        ports=ROOM,
        protocol=st.sampled_from(Protocol),
        cidrs=st.lists(CIDR, min_size=1, max_size=3, unique=True).map(tuple),
        peer=st.none(),
    )
    | st.builds(
        AddressTarget,
        name=LABEL,
        ports=ROOM,
        protocol=st.sampled_from(Protocol),
        cidrs=st.just(()),
        peer=st.tuples(LABEL, LABEL),
    ),
    max_size=4,
    unique_by=lambda t: t.name,
).map(tuple)
RUNNER = f"registry.example.com/operator@sha256:{'c' * 64}"
CONTEXT = st.builds(
    RenderContext,
    targets=TARGETS,
    runtime=st.none()
    | st.builds(
        RuntimeChoice,
        kind=st.sampled_from(WorkloadKind),
        runtime_class=st.just("") | LABEL,
        wasm_runner=st.sampled_from(["", RUNNER]),
    ),
)
TIER_SPEC = st.fixed_dictionaries(
    {
        "quota": st.fixed_dictionaries({"cpu": CPU, "memory": MEMORY, "pods": st.integers(1, 1000), "storage": MEMORY}),
        "sidecarReserve": st.fixed_dictionaries({"cpu": CPU | st.just("0"), "memory": MEMORY | st.just("0")}),
    }
)
TIER = TIER_SPEC.map(lambda spec: make_tier("some", **spec))
