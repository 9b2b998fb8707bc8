"""kubectl bound to one cluster, so that nothing can act on another."""

import subprocess
from collections.abc import Callable

from hack.lab.build import LabError
from hack.lab.context import Cluster, kubectl_binary

Kubectl = Callable[..., str]


class KubectlError(LabError):
    """kubectl ended with an error; the text is what it said."""


def kubectl_for(cluster: Cluster) -> Kubectl:
    """``kubectl("get", "ns")``: what it printed, or KubectlError; ``stdin=`` is handed to it."""
    base = [kubectl_binary(cluster), f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}"]

    def run(*arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        done = subprocess.run(
            [*base, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return run
