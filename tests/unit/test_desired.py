"""Edges of the builders that golden files don't show."""

import pytest
from tests.support.samples import make_app, make_tier

from microapp_operator.constants import ANNOTATION_APPLIED_HASH, LABEL_APP, LABEL_TENANT
from microapp_operator.desired.accepted import build_accepted, read_accepted
from microapp_operator.desired.access import build_owner_binding
from microapp_operator.desired.context import AddressTarget, RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.limits import build_limits
from microapp_operator.desired.metadata import compute_seal, namespace_name, seal
from microapp_operator.desired.network import build_egress, build_openings
from microapp_operator.desired.plan import Plan, build_guardrails, build_plan
from microapp_operator.desired.serverless import build_knative_service
from microapp_operator.desired.workload import build_deployment, build_strategy
from microapp_operator.errors import InvalidSpec
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.common import Protocol
from microapp_operator.model.microapp import MicroAppSpec
from microapp_operator.model.quantity import format_cpu, format_memory, parse_quantity

DEPLOYMENT = RuntimeChoice(WorkloadKind.DEPLOYMENT)
KNATIVE = RuntimeChoice(WorkloadKind.KNATIVE_SERVICE)
DATA = [{"name": "data", "size": "1Gi", "mountPath": "/data"}]
RESERVED = {"cpu": "100m", "memory": "64Mi"}


def _kinds(app: MicroApp, runtime: RuntimeChoice = DEPLOYMENT) -> list[str]:
    return [m["kind"] for m in build_plan(app, make_tier(), RenderContext(runtime=runtime)).all()]


def _pod(app: MicroApp) -> Manifest:
    spec: Manifest = build_deployment(app, make_tier(), DEPLOYMENT)["spec"]["template"]["spec"]
    return spec


class TestStrategy:
    @pytest.mark.parametrize(
        ("runtime", "quota"),
        [
            ({"replicas": 1, "resources": {"cpu": "400m"}}, {"cpu": "999m", "memory": "1Gi", "pods": 5}),
            ({"replicas": 1, "resources": {"memory": "448Mi"}}, {"cpu": "1", "memory": "1023Mi", "pods": 5}),
            ({"replicas": 2}, {"cpu": "1", "memory": "1Gi", "pods": 2}),
        ],
        ids=["cpu", "memory", "pods"],
    )
    def test_no_surge_where_one_more_pod_does_not_fit(self, runtime: Manifest, quota: Manifest) -> None:
        tier = make_tier(quota=quota, sidecarReserve=RESERVED)
        strategy = build_strategy(make_app(runtime=runtime), tier)
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}

    def test_surge_where_one_more_pod_just_fits(self) -> None:
        tier = make_tier(quota={"cpu": "1", "memory": "1Gi", "pods": 2}, sidecarReserve=RESERVED)
        app = make_app(runtime={"resources": {"cpu": "400m", "memory": "448Mi"}})
        assert build_strategy(app, tier)["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}

    def test_storage_means_recreate(self) -> None:
        assert build_strategy(make_app(storage=DATA), make_tier()) == {"type": "Recreate"}

    def test_suspending_changes_nothing_but_the_replicas(self) -> None:
        running = build_deployment(make_app(runtime={"replicas": 2}), make_tier(), DEPLOYMENT)["spec"]
        suspended = build_deployment(make_app(runtime={"replicas": 2}, suspend=True), make_tier(), DEPLOYMENT)["spec"]
        assert (running.pop("replicas"), suspended.pop("replicas")) == (2, 0)
        assert running == suspended


class TestPod:
    def test_what_is_declared_is_what_the_process_gets(self) -> None:
        container = _pod(make_app(runtime={"command": ["sh", "$$(X)"], "env": [{"name": "X", "value": "$(Y)$"}]}))[
            "containers"
        ][0]
        assert container["command"] == ["sh", "$$$$(X)"]
        assert container["env"] == [{"name": "X", "value": "$$(Y)$$"}]

    def test_the_image_s_own_entrypoint_is_left_alone(self) -> None:
        container = _pod(make_app())["containers"][0]
        assert not {"command", "args", "env"} & set(container)

    @pytest.mark.parametrize("path", ["/tmp", "/tmp/", "//tmp", "/./tmp"])
    def test_a_volume_of_the_app_may_take_the_place_of_tmp(self, path: str) -> None:
        pod = _pod(make_app(storage=[{"name": "tmp", "size": "1Mi", "mountPath": path}]))
        assert pod["volumes"] == [{"name": "data-tmp", "persistentVolumeClaim": {"claimName": "tmp"}}]
        assert pod["containers"][0]["volumeMounts"] == [{"name": "data-tmp", "mountPath": "/tmp"}]

    def test_a_volume_with_the_longest_name_still_has_a_valid_one(self) -> None:
        names = [v["name"] for v in _pod(make_app(storage=[{**DATA[0], "name": "v" * 63}]))["volumes"]]
        assert names[0] == "tmp"
        assert len(names[1]) == 63

    def test_mounted_volumes_can_be_written_without_root(self) -> None:
        assert _pod(make_app(storage=DATA))["securityContext"]["fsGroup"] > 0
        assert "fsGroup" not in _pod(make_app())["securityContext"]

    def test_runtime_class_only_when_chosen(self) -> None:
        assert "runtimeClassName" not in _pod(make_app())
        spec = build_deployment(make_app(), make_tier(), RuntimeChoice(WorkloadKind.DEPLOYMENT, "gvisor"))["spec"]
        assert spec["template"]["spec"]["runtimeClassName"] == "gvisor"

    def test_spread_only_with_several_replicas_and_never_hard(self) -> None:
        assert "topologySpreadConstraints" not in _pod(make_app())
        spread = _pod(make_app(runtime={"replicas": 2}))["topologySpreadConstraints"]
        assert {s["whenUnsatisfiable"] for s in spread} == {"ScheduleAnyway"}


class TestBudget:
    def test_with_several_replicas(self) -> None:
        assert "PodDisruptionBudget" in _kinds(make_app(runtime={"replicas": 2}))

    @pytest.mark.parametrize(
        "spec",
        [{}, {"runtime": {"replicas": 0}}, {"runtime": {"replicas": 2}, "suspend": True}],
        ids=["one", "none", "suspended"],
    )
    def test_not_where_it_only_blocks_drains(self, spec: Manifest) -> None:
        assert "PodDisruptionBudget" not in _kinds(make_app(**spec))

    def test_not_for_knative(self) -> None:
        assert "PodDisruptionBudget" not in _kinds(make_app(runtime={"replicas": 2}), KNATIVE)


class TestKnative:
    def test_scales_to_zero_and_no_further_than_asked(self) -> None:
        service = build_knative_service(make_app(runtime={"replicas": 3}), KNATIVE)
        assert service["spec"]["template"]["metadata"]["annotations"] == {
            "autoscaling.knative.dev/min-scale": "0",
            "autoscaling.knative.dev/max-scale": "3",
        }
        assert service["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"

    def test_pod_has_only_what_knative_takes_by_default(self) -> None:
        pod = build_knative_service(make_app(), KNATIVE)["spec"]["template"]["spec"]
        assert set(pod) == {
            "serviceAccountName",
            "automountServiceAccountToken",
            "enableServiceLinks",
            "containers",
            "volumes",
        }

    @pytest.mark.parametrize("spec", [{"suspend": True}, {"runtime": {"replicas": 0}}], ids=["suspended", "none"])
    def test_a_stopped_app_keeps_everything_but_the_service(self, spec: Manifest) -> None:
        app = make_app(storage=DATA, **spec)
        plan = build_plan(app, make_tier(), RenderContext(runtime=KNATIVE))
        assert [m["kind"] for m in plan.workload] == ["ControllerRevision", "PersistentVolumeClaim"]
        with pytest.raises(ValueError, match="stopped"):
            build_knative_service(app, KNATIVE)

    def test_makes_its_own_service(self) -> None:
        plan = build_plan(make_app(), make_tier(), RenderContext(runtime=KNATIVE))
        assert [m["apiVersion"] for m in plan.all() if m["kind"] == "Service"] == ["serving.knative.dev/v1"]


class TestNetwork:
    NETWORK = AddressTarget("bank", (443,), Protocol.TCP, cidrs=("203.0.113.0/24",))
    PEER = AddressTarget("ledger", (8080,), Protocol.TCP, peer=("finance", "ledger"))

    def _names(self, *targets: AddressTarget) -> list[str]:
        return [m["metadata"]["name"] for m in build_openings(make_app(), targets)]

    def test_nothing_opens_by_itself(self) -> None:
        assert self._names() == []

    def test_dns_opens_for_another_app_only(self) -> None:
        assert self._names(self.NETWORK) == ["allow-egress-bank"]
        assert self._names(self.NETWORK, self.PEER) == ["allow-dns", "allow-egress-bank", "allow-egress-ledger"]

    def test_a_caller_listed_twice_is_one(self) -> None:
        peers = [{"microApp": {"namespace": "finance", "name": n}} for n in ("portal", "admin", "portal")]
        (policy,) = build_openings(make_app(ingress={"from": peers}), ())
        (rule,) = policy["spec"]["ingress"]
        assert [p["podSelector"]["matchLabels"][LABEL_APP] for p in rule["from"]] == ["admin", "portal"]
        assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]

    def test_a_target_without_destination_is_never_everywhere(self) -> None:
        with pytest.raises(ValueError, match="no destination"):
            build_egress(make_app(), AddressTarget("all", (443,), Protocol.TCP))
        with pytest.raises(ValueError, match="no port"):
            build_egress(make_app(), AddressTarget("all", (), Protocol.TCP, cidrs=("10.0.0.0/8",)))

    @pytest.mark.parametrize("cidr", ["169.254.169.254/32", "169.254.0.0/16", "fe80::/64", "fd00:ec2::254/128"])
    def test_metadata_addresses_are_no_target(self, cidr: str) -> None:
        with pytest.raises(ValueError, match="reserved"):
            build_egress(make_app(), AddressTarget("meta", (80,), Protocol.TCP, cidrs=(cidr,)))

    def test_a_network_around_them_leaves_them_out(self) -> None:
        policy = build_egress(make_app(), AddressTarget("all", (443,), Protocol.TCP, cidrs=("0.0.0.0/0", "::/0")))
        assert policy["spec"]["egress"][0]["to"] == [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
            {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}},
        ]

    def test_networks_are_written_canonically(self) -> None:
        target = AddressTarget("lan", (443,), Protocol.TCP, cidrs=("10.0.0.0/255.0.0.0",))
        to = build_egress(make_app(), target)["spec"]["egress"][0]["to"]
        assert to == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


class TestGuardrails:
    def test_stand_when_nothing_may_run(self) -> None:
        plan = build_plan(make_app(), make_tier(), RenderContext())
        assert plan.guardrails == build_guardrails(make_app(), make_tier())
        assert (plan.openings, plan.workload) == ((), ())

    def test_production_has_another_binding_not_another_role(self) -> None:
        refs = {}
        for stage in ("sandbox", "staging", "production"):
            binding = build_owner_binding(make_app(stage=stage))
            refs[binding["metadata"]["name"]] = binding["roleRef"]["name"]
            assert [s["name"] for s in binding["subjects"]] == ["finance-ops"]
        assert refs == {"owner-team": "microapps-owner", "owner-team-production": "microapps-owner-production"}

    def test_limits_of_a_tier_that_is_all_reserve_admit_nothing(self) -> None:
        tier = make_tier(quota={"cpu": "50m", "memory": "1Gi", "pods": 1}, sidecarReserve={"cpu": "100m"})
        limits = build_limits(make_app(), tier)["spec"]["limits"][0]
        assert limits["max"] == {"cpu": "0", "memory": "928Mi"}
        assert limits["default"]["cpu"] == "0"

    def test_no_limit_may_be_zero(self) -> None:
        limits = build_limits(make_app(), make_tier(sidecarReserve={"cpu": "0", "memory": "0"}))["spec"]["limits"][0]
        assert limits["min"] == limits["default"] == {"cpu": "1m", "memory": "1Mi"}


class TestPlan:
    def test_order(self) -> None:
        app = make_app(runtime={"replicas": 2}, storage=DATA)
        target = AddressTarget("bank", (443,), Protocol.TCP, cidrs=("203.0.113.0/24",))
        plan = build_plan(app, make_tier(), RenderContext((target,), DEPLOYMENT))
        assert [m["kind"] for m in plan.all()] == [
            "Namespace",
            "ResourceQuota",
            "LimitRange",
            "NetworkPolicy",
            "ServiceAccount",
            "RoleBinding",
            "NetworkPolicy",
            "ControllerRevision",
            "PersistentVolumeClaim",
            "Deployment",
            "Service",
            "PodDisruptionBudget",
        ]

    def test_two_children_of_one_name_are_an_error(self) -> None:
        plan = build_plan(make_app(), make_tier(), RenderContext())
        with pytest.raises(ValueError, match="tier-quota"):
            Plan(plan.namespace, (*plan.guardrails, plan.guardrails[0]), (), ())
        twice = make_app(storage=[*DATA, *DATA])
        with pytest.raises(ValueError, match="PersistentVolumeClaim"):
            build_plan(twice, make_tier(), RenderContext(runtime=DEPLOYMENT))

    @pytest.mark.parametrize(
        ("name", "namespace", "path"),
        [
            ("../kube-system", "finance", "metadata.name"),
            ("a.b", "finance", "metadata.name"),
            ("7up", "finance", "metadata.name"),
            ("a\n", "finance", "metadata.name"),
            ("a" * 53, "finance", "metadata.name"),
            ("a", "", "metadata.namespace"),
            ("a", "x/y", "metadata.namespace"),
        ],
    )
    def test_a_name_that_fits_no_child_is_refused(self, name: str, namespace: str, path: str) -> None:
        with pytest.raises(InvalidSpec) as caught:
            build_plan(make_app(name, namespace), make_tier(), RenderContext())
        assert caught.value.finding.path == path


class TestNames:
    def test_namespace(self) -> None:
        assert namespace_name("finance", "expenses") == "ma-finance-expenses"

    def test_short_names_may_be_shared_labels_are_not(self) -> None:
        assert namespace_name("a-b", "c") == namespace_name("a", "b-c")
        policies = [
            build_egress(make_app(), AddressTarget("x", (1,), Protocol.TCP, peer=peer))
            for peer in (("a-b", "c"), ("a", "b-c"))
        ]
        selectors = [p["spec"]["egress"][0]["to"][0]["namespaceSelector"]["matchLabels"] for p in policies]
        assert selectors[0] != selectors[1]
        assert all({LABEL_TENANT, LABEL_APP, "kubernetes.io/metadata.name"} == set(s) for s in selectors)

    def test_the_longest_name_is_shortened(self) -> None:
        assert namespace_name("t" * 30, "a" * 29).endswith("a" * 29)
        long = namespace_name("t" * 30, "a" * 30)
        assert len(long) == 63
        assert long != namespace_name("t" * 30, "a" * 31)


class TestSeal:
    def test_replaces_an_earlier_one_and_leaves_the_original(self) -> None:
        manifest: Manifest = {"metadata": {"name": "a", "annotations": {ANNOTATION_APPLIED_HASH: "old", "b": "c"}}}
        sealed = seal(manifest)
        assert sealed["metadata"]["annotations"] == {ANNOTATION_APPLIED_HASH: compute_seal(manifest), "b": "c"}
        assert manifest["metadata"]["annotations"][ANNOTATION_APPLIED_HASH] == "old"
        assert seal(sealed) == sealed


class TestAccepted:
    def test_round_trip(self) -> None:
        app = make_app(storage=DATA, runtime={"env": [{"name": "A", "value": "$(B)"}]})
        spec = read_accepted(build_accepted(app))
        assert MicroAppSpec.model_validate(spec) == app.spec

    def test_another_spec_is_another_object(self) -> None:
        one, two = build_accepted(make_app()), build_accepted(make_app(suspend=True))
        assert one["metadata"]["name"] != two["metadata"]["name"]
        assert build_accepted(make_app())["metadata"]["name"] == one["metadata"]["name"]

    @pytest.mark.parametrize(
        "change",
        [
            {"data": {"spec": {"riskTier": "low"}}},
            {"data": {"spec": "none"}},
            {"data": {}},
            {"data": None},
            {"metadata": {"name": "accepted-0000000000000000"}},
            {"metadata": {}},
        ],
    )
    def test_a_record_that_is_not_what_its_name_says_is_none(self, change: Manifest) -> None:
        assert read_accepted({**build_accepted(make_app()), **change}) is None

    def test_more_than_a_spec_is_none(self) -> None:
        record = build_accepted(make_app())
        record["data"]["more"] = 1
        assert read_accepted(record) is None
        assert read_accepted({}) is None


class TestQuantities:
    @pytest.mark.parametrize(
        ("text", "shown"), [("0.5m", "1m"), ("1000m", "1"), ("0.25", "250m"), ("1000.5m", "1001m"), ("0", "0")]
    )
    def test_cpu_is_rounded_up_as_zero_would_mean_no_limit(self, text: str, shown: str) -> None:
        assert format_cpu(parse_quantity(text)) == shown

    @pytest.mark.parametrize(
        ("text", "shown"), [("100m", "1"), ("1024Mi", "1Gi"), ("0.5Gi", "512Mi"), ("1G", "1000000000"), ("0", "0")]
    )
    def test_memory(self, text: str, shown: str) -> None:
        assert format_memory(parse_quantity(text)) == shown
