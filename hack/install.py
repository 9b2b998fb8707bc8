"""Installs what ships besides the processes: CRDs, risk tiers, roles, and the proof of who edits and approves."""

import json
import time
from pathlib import Path
from typing import Any

from hack.kubectl import Kubectl, KubectlError
from hack.lab.build import LabError
from hack.samples import app_manifest

ROOT = Path(__file__).parent.parent
APPROVALS = ROOT / "charts" / "microapp-operator" / "admission" / "approvals.yaml"
_SKIP = "microapps.dev/skip-secret-cleanup"
TIERS = ROOT / "charts" / "microapp-operator" / "files" / "risktiers.yaml"


def install(kubectl: Kubectl) -> None:
    """Apply them and wait until the API server serves the kinds."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"), "--timeout=30s")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(TIERS.parent), "-f", str(APPROVALS))
    _until_in_force(kubectl)


def _until_in_force(kubectl: Kubectl) -> None:
    """The API server takes admission policies up some moments after they were made: ask until they answer."""
    probe = app_manifest("probe", "default")
    probe["metadata"]["annotations"] = {_SKIP: "probe"}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if _stamps(kubectl, probe) and _refuses_machines(kubectl):
            return
        time.sleep(0.1)
    raise LabError("the admission policies for approvals are not in force after 30 s")


def _stamps(kubectl: Kubectl, probe: dict[str, Any]) -> bool:
    try:
        answer = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(probe))
    except KubectlError:
        return False  # the proof is in force before the stamp is
    return {"microapps.dev/editors", f"{_SKIP}-by"} <= set(json.loads(answer)["metadata"].get("annotations", {}))


def _refuses_machines(kubectl: Kubectl) -> bool:
    nobody = "0" * 64
    spec = {"microApp": "probe", "scope": "release", "replicas": 0, "tier": "low", "tierGeneration": 0}
    probe = {
        "apiVersion": "microapps.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {**spec, "policyDigest": nobody, "fingerprint": nobody, "justification": "probe"},
    }
    machine = ("--as=system:serviceaccount:default:probe", "--as-group=system:masters")
    try:
        kubectl(*machine, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(probe))
    except KubectlError as error:
        return "MA-APR-002" in str(error)
    return False
