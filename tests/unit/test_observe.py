"""Drift read off managedFields: what changes the digest, and what must not."""

from typing import Any

import pytest

from microapp_operator.adapters.kubernetes.kinds import CHILDREN
from microapp_operator.adapters.kubernetes.observe import observed_from

KINDS = {k.kind: k for k in CHILDREN}
OURS = {
    "manager": "microapp-operator",
    "operation": "Apply",
    "time": "2026-01-01T00:00:00Z",
    "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {}}, "f:metadata": {"f:labels": {}}},
}
STATUS = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "subresource": "status",
    "time": "2026-01-02T00:00:00Z",
    "fieldsV1": {"f:status": {"f:replicas": {}}},
}
REVISION = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "time": "2026-01-02T00:00:00Z",
    "fieldsV1": {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}},
}
EVE = {
    "manager": "eve",
    "operation": "Update",
    "time": "2026-01-03T00:00:00Z",
    "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"x"}': {}}}}}},
}


def digest(*entries: dict[str, Any], kind: str = "Deployment", **metadata: Any) -> str:
    obj = {"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1", **metadata}}
    obj["metadata"]["managedFields"] = list(entries)
    return observed_from(KINDS[kind], obj).fields_digest


def test_the_control_planes_own_writes_change_nothing() -> None:
    assert digest(OURS) == digest(OURS, STATUS) == digest(REVISION, OURS, STATUS) == digest(OURS, resourceVersion="9")


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([OURS, EVE], id="a-field-added-by-another"),
        pytest.param([OURS | {"fieldsV1": {"f:spec": {"f:template": {}}}}, EVE], id="a-field-taken-over"),
        pytest.param([OURS | {"fieldsV1": {"f:spec": {"f:template": {}}}}], id="a-field-removed"),
        pytest.param([OURS | {"time": "2026-01-05T00:00:00Z"}], id="a-write-under-our-name"),
        pytest.param([OURS, EVE | {"subresource": "scale"}], id="scaled"),
        pytest.param([], id="managed-fields-stripped"),
    ],
)
def test_a_change_of_substance_changes_the_digest(entries: list[dict[str, Any]]) -> None:
    assert digest(*entries) != digest(OURS)


def test_the_writer_to_name_is_the_latest_foreign_one() -> None:
    later = {**EVE, "manager": "mallory", "time": "2026-01-04T00:00:00Z"}
    obj = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "1", "managedFields": [EVE, OURS, later, STATUS]}}
    observed = observed_from(KINDS["Deployment"], obj)
    assert observed.foreign_managers == ("mallory", "eve")
    assert observed.last_manager == "mallory"


def test_what_controllers_fill_into_a_claim_is_no_drift() -> None:
    bound = {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:spec": {"f:volumeName": {}}}}
    claim = "PersistentVolumeClaim"
    assert digest(OURS, kind=claim) == digest(OURS, bound, kind=claim)


def test_nothing_of_the_object_itself_is_kept() -> None:
    secret = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "1"}, "spec": {"x": "s3cr3t"}}
    assert "s3cr3t" not in repr(observed_from(KINDS["Service"], secret))
