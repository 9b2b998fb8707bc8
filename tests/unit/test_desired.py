"""Edges of the workload's builders that golden files don't show."""

import pytest
from tests.support.samples import make_app, make_tier

from microapp_operator.desired.context import RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.plan import build_plan
from microapp_operator.desired.serverless import build_knative_service
from microapp_operator.desired.workload import build_deployment, build_strategy
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.settings import Images

DEPLOYMENT = RuntimeChoice(WorkloadKind.DEPLOYMENT)
KNATIVE = RuntimeChoice(WorkloadKind.KNATIVE_SERVICE)
DATA = [{"name": "data", "size": "1Gi", "mountPath": "/data"}]
RESERVED = {"cpu": "100m", "memory": "64Mi"}


def _kinds(app: MicroApp, runtime: RuntimeChoice = DEPLOYMENT) -> list[str]:
    return [m["kind"] for m in build_plan(app, make_tier(), RenderContext(runtime=runtime)).all()]


def _pod(app: MicroApp) -> Manifest:
    spec: Manifest = build_deployment(app, make_tier(), DEPLOYMENT, Images())["spec"]["template"]["spec"]
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
        running = build_deployment(make_app(runtime={"replicas": 2}), make_tier(), DEPLOYMENT, Images())["spec"]
        suspended = build_deployment(
            make_app(runtime={"replicas": 2}, suspend=True), make_tier(), DEPLOYMENT, Images()
        )["spec"]
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
        spec = build_deployment(make_app(), make_tier(), RuntimeChoice(WorkloadKind.DEPLOYMENT, "gvisor"), Images())[
            "spec"
        ]
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
