"""The chart, installed by the real Helm as a user does it; its processes run from source under the chart's accounts.

The lab's pods run nothing, so the processes are started here, with the arguments, settings and rights that the
installed release gives its pods. The webhook's Service is pointed at this machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hack import admission
from hack.helm import CHART, NAMESPACE, RELEASE, helm, helm_command, helm_environment, objects
from hack.install import ROOT
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.process import OperatorProcess

REGISTRIES = {"settings": {"registries": ["registry.example.com/"]}}
_LOCAL = ("--host=127.0.0.1",)


@dataclass
class Release:
    """One release on one cluster. folder: for logs and credentials. port: of the webhook, on loopback."""

    cluster: Cluster
    kubectl: Kubectl
    folder: Path
    name: str = RELEASE
    namespace: str = NAMESPACE
    port: int = field(default_factory=lambda: free_ports(1)[0])

    def helm(self, *arguments: str) -> str:
        """``helm …`` on this cluster and namespace."""
        return helm(*arguments, f"--namespace={self.namespace}", cluster=self.cluster)

    def start_helm(self, *arguments: str) -> "subprocess.Popen[str]":
        """The same, not waited for."""
        command = helm_command(*arguments, f"--namespace={self.namespace}", cluster=self.cluster)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env=helm_environment(), **pipes)  # type: ignore[call-overload, no-any-return]

    def values(self, **more: Any) -> str:
        """A values file for this machine, with ``more`` on top."""
        path = self.folder / "values.yaml"
        webhook = {"servicePort": self.port, **more.pop("webhook", {})}
        path.write_text(yaml.safe_dump({**REGISTRIES, **more, "webhook": webhook}))
        return f"--values={path}"

    def install(self, *flags: str, chart: Path = CHART, **values: Any) -> str:
        """``helm install --wait``, and the webhook's Service pointed here."""
        where = ("install", self.name, str(chart), "--create-namespace", "--wait", "--timeout=90s")
        said = self.helm(*where, self.values(**values), *flags)
        self.point_here()
        return said

    def point_here(self) -> None:
        """Have the API server find the webhook on this machine, as it finds any Service outside of a cluster."""
        here = {"spec": {"type": "ExternalName", "externalName": "localhost"}}
        service = ("svc", f"{self.name}-webhook", "-n", self.namespace)
        self.kubectl("patch", *service, "--type=merge", "-p", json.dumps(here))

    def operator(self, number: int = 1) -> OperatorProcess:
        """One replica of the operator, not yet started."""
        return self._process(self.name, (), f"operator-{number}")

    def webhook(self) -> OperatorProcess:
        """One replica of the webhook, not yet started."""
        return self._process(f"{self.name}-webhook", (f"--port={self.port}",), "webhook")

    def run_hook(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Do what the hook Job of that command does, with its account and rights, which are gone afterwards."""
        name = f"{self.name}-{command}"
        hooks = [o for o in objects(self.helm("get", "hooks", self.name)) if o["metadata"]["name"] == name]
        job = next(o for o in hooks if o["kind"] == "Job")
        others = "\n---\n".join(json.dumps(o) for o in hooks if o is not job)
        self.kubectl("apply", "-f", "-", stdin=others)
        try:
            files = {o["metadata"]["name"]: o["data"] for o in hooks if o["kind"] == "ConfigMap"}
            arguments = self._localized(job["spec"]["template"]["spec"], files)
            account = admission.kubeconfig_of(self.kubectl, self.cluster, name, self.folder, self.namespace)
            environment = {**os.environ, "KUBECONFIG": str(account), "PYTHONPATH": str(ROOT / "operator" / "src")}
            line = [sys.executable, "-m", "microapp_operator", *arguments]
            return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
        finally:
            self.kubectl("delete", "-f", "-", stdin=others)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object, of the release's namespace where it has one."""
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-n", self.namespace, "-o", "json"))
        return found

    def _process(self, deployment: str, more: tuple[str, ...], log: str) -> OperatorProcess:
        pod = self.get("deployment", deployment)["spec"]["template"]["spec"]
        command, *arguments = self._localized(pod, {})
        free = "--port=0" if command == "run" else "--health-port=0"
        account = admission.kubeconfig_of(
            self.kubectl, self.cluster, pod["serviceAccountName"], self.folder, self.namespace
        )
        flags = (*arguments, *_LOCAL, free, *more)
        return OperatorProcess(account, self.folder / f"{log}.log", flags, (command,))

    def _localized(self, pod: dict[str, Any], files: dict[str, dict[str, str]]) -> list[str]:
        """The container's arguments, with its ConfigMaps as files of this machine."""
        arguments = " ".join(pod["containers"][0]["args"]).replace("$(NAMESPACE)", self.namespace)
        mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0].get("volumeMounts", ())}
        for volume in pod.get("volumes", ()):
            if "configMap" not in volume:
                continue
            name = volume["configMap"]["name"]
            data = files.get(name) or self.get("configmap", name)["data"]
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            for file, text in data.items():
                (folder / file).write_text(text)
            arguments = arguments.replace(mounts[volume["name"]], str(folder))
        return arguments.split()


@contextmanager
def live(release: Release) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """Operator and webhook of the release running inside."""
    with release.webhook() as webhook, release.operator() as operator:
        yield operator, webhook
