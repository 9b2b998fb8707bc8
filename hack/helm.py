"""Helm, bound to one cluster or to none, with no configuration but what is given here."""

import atexit
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hack.install import ROOT
from hack.lab.build import LabError, binary, ensure_built
from hack.lab.components import HELM, KUBERNETES
from hack.lab.context import Cluster

CHART = ROOT / "charts" / "microapp-operator"
RELEASE, NAMESPACE = "microapp-operator", "microapp-system"
POLICY_API = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
"""What `--api-versions` has to say for a cluster that serves MutatingAdmissionPolicy."""
_HOME = tempfile.mkdtemp(prefix="microapp-helm-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)


class HelmError(LabError):
    """Helm ended with an error; the text is what it said."""


def helm(*arguments: str, cluster: Cluster | None = None, timeout: float = 300) -> str:
    """What ``helm …`` printed; HelmError when it fails. Without a cluster it can reach none."""
    ensure_built(HELM)
    done = subprocess.run(
        helm_command(*arguments, cluster=cluster),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=helm_environment(),
    )
    if done.returncode != 0:
        raise HelmError(f"helm {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout


def helm_command(*arguments: str, cluster: Cluster | None) -> list[str]:
    """The command line of ``helm …``, for who starts it themselves."""
    where = [f"--kubeconfig={cluster.kubeconfig}", f"--kube-context={cluster.context}"] if cluster else []
    return [str(binary(HELM)), *arguments, *where]


def helm_environment() -> dict[str, str]:
    """Its environment: no plugins, repositories or kubeconfig of this machine."""
    homes = {f"HELM_{name}_HOME": f"{_HOME}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
    return {**os.environ, **homes, "KUBECONFIG": f"{_HOME}/none"}


def render(*flags: str, release: str = RELEASE, namespace: str = NAMESPACE, chart: Path = CHART) -> str:
    """The chart's manifests as ``helm template`` prints them, hooks included."""
    version = f"--kube-version={KUBERNETES}"
    return helm("template", release, str(chart), f"--namespace={namespace}", version, *flags)


def objects(text: str) -> list[dict[str, Any]]:
    """Manifests as objects."""
    return [each for each in yaml.safe_load_all(text) if each]
