"""Every object the chart, the overlay and the examples make is taken by a real API server, field by field."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.helm import render
from hack.install import ROOT
from hack.kubectl import Kubectl
from hack.lab.components import GO
from tests.support.eventually import eventually

GOLDEN = ROOT / "tests" / "golden" / "chart"
CASES = {
    "default": "microapp-system",
    "production": "microapp-system",
    "renamed": "microapp-system-eu",
    "logging": "microapp-system",
}
MODULE = "github.com/prometheus-operator/prometheus-operator"
MONITORING = ("servicemonitors", "prometheusrules")
PROBES = "microapp-probe"
OVERLAY = ROOT / "kustomize" / "overlays" / "production"


@pytest.fixture(scope="module")
def ready(kubectl: Kubectl) -> None:
    """The kinds that others bring: ours, and the Prometheus operator's."""
    command = ["go", "mod", "download", "-json", MODULE]
    done = subprocess.run(command, cwd=GO / "monitoring", capture_output=True, text=True, check=True)
    folder = Path(json.loads(done.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    crds = [f"-f{folder / f'monitoring.coreos.com_{name}.yaml'}" for name in MONITORING]
    kubectl("apply", "--server-side", *crds, "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", *crds, "-f", str(ROOT / "crds"))
    for namespace in {*CASES.values(), PROBES}:  # a dry run makes none for what comes after
        kubectl("create", "namespace", namespace)


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_all_of_it(case: str, kubectl: Kubectl, ready: None) -> None:  # noqa: ARG001
    strict = ("apply", "--server-side", "--dry-run=server", "--validate=strict")
    said = kubectl(*strict, "-f", str(GOLDEN / case / "output.yaml"), "--force-conflicts")
    manifests = [m for m in yaml.safe_load_all((GOLDEN / case / "output.yaml").read_text()) if m]
    assert said.count("serverside-applied (server dry run)") == len(manifests)


def test_the_tiers_it_ships_are_taken(kubectl: Kubectl, ready: None) -> None:  # noqa: ARG001
    for case in CASES:
        for manifest in yaml.safe_load_all((GOLDEN / case / "output.yaml").read_text()):
            if manifest and "tiers.yaml" in manifest.get("data", {}):
                kubectl(
                    "apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest["data"]["tiers.yaml"]
                )


def test_the_overlay_installs_without_helm_and_twice_over(kubectl: Kubectl, ready: None) -> None:  # noqa: ARG001
    for _ in range(2):
        kubectl("apply", "--server-side", "--force-conflicts", "-k", str(OVERLAY))
    for deployment in ("microapp-operator", "microapp-operator-webhook"):
        kubectl("rollout", "status", f"deployment/{deployment}", "-n", "microapp-system", "--timeout=60s")
    eventually(lambda: succeeded(kubectl), 1)
    found = kubectl("get", "deployments", "-n", "microapp-system", "-o", "json")
    for deployment in json.loads(found)["items"]:
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "registry.example.com/platform/microapp-operator:0.1.0"


def succeeded(kubectl: Kubectl) -> int:
    jobs: dict[str, Any] = json.loads(kubectl("get", "jobs", "-n", "microapp-system", "-o", "json"))
    return sum(job.get("status", {}).get("succeeded", 0) for job in jobs["items"])


def test_the_application_for_argo_cd_renders_and_leaves_the_webhooks_own_fields_alone(tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / "argocd" / "application.yaml").read_text())["spec"]
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(spec["source"]["helm"]["valuesObject"]))
    chart = ROOT / spec["source"]["path"]
    assert "kind: Deployment" in render(f"--values={values}", chart=chart, namespace=spec["destination"]["namespace"])
    assert {d["kind"] for d in spec["ignoreDifferences"]} == {
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    }
    assert "ServerSideApply=true" in spec["syncPolicy"]["syncOptions"]


def test_the_overlays_settings_name_the_operator_the_floor_knows() -> None:
    settings = yaml.safe_load((OVERLAY / "settings.yaml").read_text())["data"]["settings.yaml"]
    assert yaml.safe_load(settings)["operators"] == ["system:serviceaccount:microapp-system:microapp-operator"]
    assert yaml.safe_load(settings)["operators"][0] in (ROOT / "kustomize" / "base" / "install.yaml").read_text()
