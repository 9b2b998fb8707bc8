"""Edges of names, seals, records and the order of children."""

import pytest
from tests.support.samples import make_app, make_tier

from microapp_operator.constants import ANNOTATION_APPLIED_HASH, LABEL_APP, LABEL_TENANT
from microapp_operator.desired.accepted import build_accepted, read_accepted
from microapp_operator.desired.context import AddressTarget, RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.metadata import compute_seal, namespace_name, seal
from microapp_operator.desired.network import build_egress
from microapp_operator.desired.plan import Plan, build_plan
from microapp_operator.errors import InvalidSpec
from microapp_operator.model import Manifest
from microapp_operator.model.common import Protocol
from microapp_operator.model.microapp import MicroAppSpec
from microapp_operator.model.quantity import format_cpu, format_memory, parse_quantity

DEPLOYMENT = RuntimeChoice(WorkloadKind.DEPLOYMENT)
DATA = [{"name": "data", "size": "1Gi", "mountPath": "/data"}]


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
