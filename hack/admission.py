"""Admission on a local cluster: the operator's and the webhook's own identities, floor and webhook, the processes."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hack.install import ROOT
from hack.kubectl import Kubectl, KubectlError
from hack.lab.build import LabError
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.process import OperatorProcess

FILES = ROOT / "charts" / "microapp-operator" / "admission"
SYSTEM = "microapp-system"
VALIDATING, MUTATING = "webhook.yaml", "mutating-webhook.yaml"
OPERATOR, WEBHOOK = "microapp-operator", "microapp-webhook"
CONFIGURATION = "microapps"
ANYONE = "microapps:anyone"
"""Group of test users whom RBAC lets do everything, so that nothing but admission stands in their way."""
_HOST = "127.0.0.1"
_RBAC = "rbac.authorization.k8s.io"


def identify(kubectl: Kubectl, cluster: Cluster, account: str, folder: Path) -> Path:
    """A kubeconfig that acts as the service account ``account`` of the platform's namespace, made if need be.

    On a local cluster it may do everything: what it really needs is the chart's to say.
    """
    _apply(kubectl, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    owner = {"name": account, "namespace": SYSTEM}
    _apply(kubectl, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": owner})
    _bind_everything(kubectl, f"{account}-local", {"kind": "ServiceAccount", **owner})
    return kubeconfig_of(kubectl, cluster, account, folder)


def kubeconfig_of(kubectl: Kubectl, cluster: Cluster, account: str, folder: Path, namespace: str = SYSTEM) -> Path:
    """A kubeconfig in ``folder`` that acts as a service account that exists, with the rights it has."""
    token = kubectl("create", "token", account, "-n", namespace, "--duration=8h").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    context = next(c["context"] for c in config["contexts"] if c["name"] == cluster.context)
    config["users"] = [{"name": account, "user": {"token": token}}]
    config["contexts"] = [{"name": account, "context": {"cluster": context["cluster"], "user": account}}]
    config["current-context"] = account
    path = folder / f"{account}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def floor(kubectl: Kubectl) -> Iterator[None]:
    """The ValidatingAdmissionPolicies in force inside, gone afterwards."""
    path = str(FILES / "floor.yaml")
    _bind_everything(kubectl, "anyone-local", {"kind": "Group", "name": ANYONE, "apiGroup": _RBAC})
    kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
    try:
        _until_in_force(kubectl)
        yield
    finally:
        kubectl("delete", "-f", path, "--ignore-not-found")


@contextmanager
def webhook(
    kubectl: Kubectl, cluster: Cluster, settings: dict[str, Any]
) -> Iterator[tuple[OperatorProcess, Callable[..., None]]]:
    """The webhook running and registered inside, and what registers it anew; both are gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_ports(1)[0]
        file = folder / "settings.yaml"
        file.write_text(yaml.safe_dump(settings))
        process = webhook_process(identify(kubectl, cluster, WEBHOOK, folder), folder, port, file)

        def register(file: str = VALIDATING) -> None:
            _apply(kubectl, registration(port, file), "--force-conflicts")

        register()
        try:
            with process:
                yield process, register
        finally:
            kinds = "validatingwebhookconfiguration,mutatingwebhookconfiguration"
            kubectl("delete", kinds, CONFIGURATION, "--ignore-not-found")


def webhook_process(kubeconfig: Path, folder: Path, port: int, settings: Path) -> OperatorProcess:
    """One replica of the webhook on ``port`` of loopback, not yet started."""
    flags = (f"--host={_HOST}", f"--port={port}", f"--name={_HOST}", f"--settings={settings}")
    return OperatorProcess(kubeconfig, folder / f"webhook-{port}.log", flags, ("webhook", "--health-port=0"))


def registration(port: int, file: str = VALIDATING) -> dict[str, Any]:
    """The webhook configuration in ``file`` as it ships, but for where the webhook is: on this machine."""
    manifest: dict[str, Any] = yaml.safe_load((FILES / file).read_text())
    for each in manifest["webhooks"]:
        path = each["clientConfig"]["service"]["path"]
        each["clientConfig"] = {"url": f"https://{_HOST}:{port}{path}"}
    return manifest


def _until_in_force(kubectl: Kubectl) -> None:
    """The API server takes policies up some seconds after they were made: ask until it refuses."""
    probe = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "ma-floor-probe", "labels": {"microapps.dev/app-uid": "probe"}},
    }
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            kubectl(
                "create",
                "--dry-run=server",
                "--as=probe",
                f"--as-group={ANYONE}",
                "-f",
                "-",
                stdin=json.dumps(probe),
            )
        except KubectlError as error:
            if "MA-GRD-003" in str(error):
                return
        time.sleep(0.2)
    raise LabError("the floor is not in force after 30 s")


def _bind_everything(kubectl: Kubectl, name: str, subject: dict[str, str]) -> None:
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    _apply(kubectl, {**binding, "roleRef": role, "subjects": [subject]})


def _apply(kubectl: Kubectl, manifest: dict[str, Any], *flags: str) -> None:
    kubectl("apply", "--server-side", *flags, "-f", "-", stdin=json.dumps(manifest))
