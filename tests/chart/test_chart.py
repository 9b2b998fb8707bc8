"""What the chart renders, whatever the values: names that agree, pods that are confined, values that are checked."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.helm import CHART, POLICY_API, HelmError, helm, objects, render
from hack.install import ROOT

from microapp_operator.adapters.kubernetes.kinds import CHILDREN, KNATIVE_SERVICE, OPTIONAL
from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.cli.parser import build_parser
from microapp_operator.desired.probe import CHECK, LABEL_PROBE, TARGET
from microapp_operator.policy.settings import PolicySettings, read_settings
from microapp_operator.probe import CLOSED_BY_TARGET, CLOSED_TO_CALLERS, OPEN_PORT

POLICIES = f"--api-versions={POLICY_API}"
FULL = [
    f"--values={ROOT / 'tests' / 'golden' / 'chart' / 'production' / 'values.yaml'}",
    "--set=admission.stamps=policy",
]
RENAMED = [f"--values={ROOT / 'tests' / 'golden' / 'chart' / 'renamed' / 'values.yaml'}"]
LOGGING = [f"--values={ROOT / 'tests' / 'golden' / 'chart' / 'logging' / 'values.yaml'}"]
PLACES = [
    pytest.param("microapp-system", "microapp-operator", [POLICIES], "microapp-operator", id="as-documented"),
    pytest.param("microapp-system-eu", "mine", [POLICIES], "mine-microapp-operator", id="other-names"),
    pytest.param("guard", "microapp-operator", RENAMED, "confiner", id="given-account"),
]


RELEASES = {"default": [POLICIES], "production": FULL, "renamed": RENAMED, "logging": LOGGING}


@pytest.fixture(scope="module", params=RELEASES.values(), ids=RELEASES)
def manifests(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return objects(render(*request.param))


KINDS = ("Deployment", "DaemonSet", "Job", "StatefulSet")


def pods(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Pod templates by name of what they belong to."""
    return {m["metadata"]["name"]: m["spec"]["template"] for m in manifests if m["kind"] in KINDS}


def test_it_is_linted_without_a_warning() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("operator.replicas=0", "at '/operator/replicas': minimum: got 0, want 1"),
        ("webhook.replicas=1", "at '/webhook/replicas': minimum: got 1, want 2"),
        ("operator.replica=3", "at '/operator': additional properties 'replica' not allowed"),
        ("image.digest=latest", "at '/image/digest'"),
        ("image.repository=", "at '/image/repository': minLength"),
        ("settings.registries={registry.example.com}", "at '/settings/registries/0'"),
        ("settings.operators={mallory}", "at '/settings': additional properties 'operators' not allowed"),
        ("admission.stamps=never", "at '/admission/stamps': value must be one of 'auto', 'policy', 'webhook'"),
        ("webhook.serviceAccount.create=false", "at '/webhook/serviceAccount/name': minLength"),
        ("webhook.servicePort=8080", "at '/webhook/servicePort'"),
        ("networkPolicy.apiServer.cidrs={10.0.0.1}", "at '/networkPolicy/apiServer/cidrs/0'"),
        ("metrics.prometheusRule.runbookBaseUrl=docs", "at '/metrics/prometheusRule/runbookBaseUrl'"),
        ("operator.resources.limits.memory=much", "at '/operator/resources/limits/memory'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(wrong: str, said: str) -> None:
    with pytest.raises(HelmError) as error:
        render(f"--set={wrong}")
    assert said in str(error.value)


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_a_namespace_whose_microapps_would_go_unjudged_is_refused(namespace: str) -> None:
    with pytest.raises(HelmError, match="one of its own"):
        render(namespace=namespace)


def test_every_setting_of_the_rules_can_be_given_but_the_operators_name() -> None:
    known = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    assert set(known) == {f.alias for f in PolicySettings.model_fields.values()} - {"operators"}


def test_the_settings_are_what_the_processes_read(manifests: list[dict[str, Any]], tmp_path: Path) -> None:
    config = next(m for m in manifests if m["metadata"]["name"].endswith("-settings"))
    file = tmp_path / "settings.yaml"
    file.write_text(config["data"]["settings.yaml"])
    assert len(read_settings(file).operators) == 1


@pytest.mark.parametrize(("namespace", "release", "flags", "account"), PLACES)
def test_all_agree_who_the_operator_is_and_where(namespace: str, release: str, flags: list[str], account: str) -> None:
    text = render(*flags, namespace=namespace, release=release)
    found = {word for word in text.replace("'", " ").split() if word.startswith(f"system:serviceaccount:{namespace}")}
    assert found == {f"system:serviceaccount:{namespace}:{account}"}
    if namespace != "microapp-system":
        assert "microapp-system" not in text.replace(namespace, "")
    everything = objects(text)
    operator = next(m for m in everything if m["kind"] == "Deployment" and "operator" in str(m["spec"]["template"]))
    assert operator["spec"]["template"]["spec"]["serviceAccountName"] == account
    deployment = next(
        m for m in everything if m["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "webhook"
    )
    service = f"{deployment['metadata']['name']}.$(NAMESPACE).svc"
    assert f"--name={service}" in text
    for configuration in (m for m in everything if m["kind"].endswith("WebhookConfiguration")):
        for webhook in configuration["webhooks"]:
            called = webhook["clientConfig"]["service"]
            assert f"{called['name']}.$(NAMESPACE).svc" == service
            assert called["namespace"] == namespace


def test_the_webhook_isnt_asked_about_what_it_depends_on() -> None:
    (configuration,) = [
        m for m in objects(render(POLICIES, namespace="guard")) if m["kind"] == "ValidatingWebhookConfiguration"
    ]
    excluded = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "guard"]}
    for webhook in configuration["webhooks"]:
        governed = {"key": "microapps.dev/app-uid", "operator": "Exists"}
        selectors = webhook.get("namespaceSelector", {}).get("matchExpressions", [])
        assert excluded in selectors or webhook["objectSelector"]["matchExpressions"] == [governed]
        assert "caBundle" not in webhook["clientConfig"]


@pytest.mark.parametrize(
    ("flags", "stamps"), [([POLICIES], "policies"), (["--set=admission.stamps=webhook"], "webhook"), ([], "webhook")]
)
def test_editors_are_stamped_once(flags: list[str], stamps: str) -> None:
    kinds = {m["kind"] for m in objects(render(*flags))}
    assert ("MutatingAdmissionPolicy" in kinds) == (stamps == "policies")
    assert ("MutatingWebhookConfiguration" in kinds) == (stamps == "webhook")


def test_the_crds_are_the_generated_ones_and_stay() -> None:
    rendered = {m["metadata"]["name"]: m for m in objects(render("--show-only=templates/crds.yaml"))}
    generated = [yaml.safe_load(p.read_text()) for p in (ROOT / "crds").glob("*.yaml")]
    assert len(rendered) == len(generated) == 5
    for crd in generated:
        assert rendered[crd["metadata"]["name"]]["spec"] == crd["spec"]
        assert rendered[crd["metadata"]["name"]]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_crds_go_when_that_is_asked_for() -> None:
    for crd in objects(render("--show-only=templates/crds.yaml", "--set=crds.keep=false")):
        assert "annotations" not in crd["metadata"]
    assert "CustomResourceDefinition" not in {m["kind"] for m in objects(render("--set=crds.enabled=false"))}


@pytest.fixture(scope="module")
def engine() -> Iterator[RegoEngine]:
    engine = RegoEngine(packaged_bundle())
    yield engine
    engine.close()


def test_its_own_pods_keep_the_rules_it_sets_for_others(manifests: list[dict[str, Any]], engine: RegoEngine) -> None:
    for name, template in pods(manifests).items():
        namespace = "ma-finance-expense-helper"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": template["spec"],
        }
        request = {
            "uid": name,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "name": name,
            "namespace": namespace,
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": []},
            "object": pod,
        }
        settings = {"podSecurity": {"level": "restricted", "version": 36}}
        found = engine.evaluate(
            "Pod", {"request": request, "context": {"namespace": {"name": namespace}, "settings": settings}}
        )
        assert {v.rule.id for v in found if "-PSS-" in v.rule.id} == set()


OWN = {
    "launcher": {"/microapps.dev"},
    "gateway": {"/var/lib/microapp-log-gateway"},
    "operator": {"/tmp", "/logs-spool"},
    "webhook": {"/tmp", "/logs-spool"},
}
"""By container, where it writes, if that isn't /tmp alone."""


def test_every_container_is_bounded_and_writes_nothing_but_what_is_its_own(manifests: list[dict[str, Any]]) -> None:
    for template in pods(manifests).values():
        assert template["spec"]["securityContext"]["runAsUser"] == 65532
        for container in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            writable = {m["mountPath"] for m in container.get("volumeMounts", ()) if not m.get("readOnly")}
            assert writable <= OWN.get(container["name"], {"/tmp"})


def test_what_serves_is_probed_and_spread_and_may_be_evicted_one_at_a_time(manifests: list[dict[str, Any]]) -> None:
    budgets = [m["spec"] for m in manifests if m["kind"] == "PodDisruptionBudget"]
    assert all(b["maxUnavailable"] == 1 for b in budgets)
    for deployment in (m for m in manifests if m["kind"] in ("Deployment", "StatefulSet")):
        pod = deployment["spec"]["template"]["spec"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(pod["containers"][0])
        assert {s["topologyKey"] for s in pod["topologySpreadConstraints"]} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }


def test_the_webhook_serves_on_until_all_have_heard_that_a_pod_ends() -> None:
    (webhook,) = [
        m
        for m in objects(render("--set=webhook.drainSeconds=25"))
        if m["metadata"]["name"].endswith("-webhook") and m["kind"] == "Deployment"
    ]
    pod = webhook["spec"]["template"]["spec"]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 25}}}
    assert pod["terminationGracePeriodSeconds"] > 25 + 5
    assert webhook["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_network_policy_covers_every_pod(manifests: list[dict[str, Any]]) -> None:
    policies = [m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"]
    closed = [
        p["podSelector"].get("matchLabels", {}) for p in policies if set(p["policyTypes"]) == {"Ingress", "Egress"}
    ]
    for template in pods(manifests).values():
        labels = template["metadata"]["labels"].items()
        assert not policies or any(selector.items() <= labels for selector in closed)


def test_every_process_takes_the_arguments_it_is_given(manifests: list[dict[str, Any]]) -> None:
    commands = set()
    for template in pods(manifests).values():
        container = template["spec"]["containers"][0]
        if "args" in container and container["name"] != "gateway":
            commands.add(build_parser().parse_args(container["args"]).command)
    assert commands >= {"run", "webhook", "check"}


def test_an_operator_never_runs_without_the_lease(manifests: list[dict[str, Any]]) -> None:
    for template in pods(manifests).values():
        arguments = template["spec"]["containers"][0].get("args", [""])
        assert arguments[0] != "run" or "--lease-namespace=$(NAMESPACE)" in arguments


def test_no_account_hands_its_token_to_whoever_borrows_it(manifests: list[dict[str, Any]]) -> None:
    for account in (m for m in manifests if m["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_helm_knows_everything_as_its_own(manifests: list[dict[str, Any]]) -> None:
    for each in manifests:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "microapps"


def test_an_image_by_digest_has_no_tag() -> None:
    digest = "sha256:" + "b" * 64
    where = ["--set=image.repository=registry.example.com/a/b", "--set=settings.registries={registry.example.com/}"]
    text = render(*where, f"--set=image.digest={digest}", "--set=image.tag=v1")
    assert {line.split()[-1] for line in text.splitlines() if " image: " in line} == {
        f"registry.example.com/a/b@{digest}"
    }


def test_tiers_are_those_that_ship_with_what_the_values_say() -> None:
    config = next(
        m for m in objects(render(*FULL)) if m["kind"] == "ConfigMap" and m["metadata"]["name"].endswith("-tiers")
    )
    tiers = {t["metadata"]["name"]: t["spec"] for t in objects(config["data"]["tiers.yaml"])}
    shipped = {t["metadata"]["name"]: t["spec"] for t in objects((CHART / "files" / "risktiers.yaml").read_text())}
    assert set(tiers) == {*shipped, "experimental"}
    assert tiers["low"] == {**shipped["low"], "replicasMax": 2, "quota": {**shipped["low"]["quota"], "pods": 8}}
    assert (tiers["medium"], tiers["high"]) == (shipped["medium"], shipped["high"])


def test_checks_and_targets_meet_on_the_ports_the_probe_goes_by() -> None:
    manifests = objects(render(*FULL, "--show-only=templates/probe.yaml"))
    policies = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}

    def ports(rule: dict[str, Any]) -> set[tuple[int, str]]:
        return {(p["port"], p["protocol"]) for p in rule["ports"]}

    both = ("TCP", "UDP")
    assert ports(policies["check"]["egress"][0]) == {(p, k) for p in (OPEN_PORT, CLOSED_BY_TARGET) for k in both}
    assert ports(policies["target"]["ingress"][0]) == {(p, k) for p in (OPEN_PORT, CLOSED_TO_CALLERS) for k in both}
    assert policies["check"]["podSelector"] == {"matchLabels": {LABEL_PROBE: CHECK}}
    assert policies["target"]["podSelector"] == {"matchLabels": {LABEL_PROBE: TARGET}}


def test_an_image_that_the_apps_pods_may_not_run_is_refused() -> None:
    digest = "--set=image.digest=sha256:" + "c" * 64
    with pytest.raises(HelmError, match="is in none of"):
        render(
            "--set=image.repository=elsewhere.example.com/a/b",
            digest,
            "--set=settings.registries={registry.example.com/}",
        )


def test_isolation_is_probed_once_the_image_is_pinned() -> None:
    where = ["--set=image.repository=registry.example.com/a/b", "--set=settings.registries={registry.example.com/}"]
    pinned = "--set=image.digest=sha256:" + "c" * 64
    for flags, probed in (([pinned], True), ([], False), ([pinned, "--set=isolationProbe.enabled=false"], False)):
        text = render(*where, *flags)
        assert ("--probe-image=registry.example.com/a/b@sha256:" in text) == probed
        assert ("kind: DaemonSet" in text) == probed
        assert ("--wasm-image=registry.example.com/a/b@sha256:" in text) == (pinned in flags)


@pytest.mark.parametrize("flags", [[POLICIES], FULL], ids=["without-a-vault", "with-one"])
def test_whatever_is_served_can_be_watched_or_the_operator_would_wait_for_it_for_ever(flags: list[str]) -> None:
    rendered = objects(render("--show-only=templates/operator-rbac.yaml", *flags))
    role = next(m for m in rendered if m["kind"] == "ClusterRole")
    may = {each for rule in role["rules"] for each in product(rule["apiGroups"], rule["resources"], rule["verbs"])}
    for kind in (*CHILDREN, *OPTIONAL, KNATIVE_SERVICE):
        group = kind.api_version.rpartition("/")[0]
        assert {(group, kind.plural, "list"), (group, kind.plural, "watch")} <= may, kind
