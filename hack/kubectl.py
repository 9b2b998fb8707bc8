"""kubectl bound to one cluster, so that nothing can act on another."""

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Callable

from hack.lab.build import LabError
from hack.lab.context import Cluster, kubectl_binary

Kubectl = Callable[..., str]
_CACHE = tempfile.mkdtemp(prefix="microapp-kubectl-")
"""Discovery cache of this process alone: kubectl's own outlives clusters that reuse a port."""
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)


class KubectlError(LabError):
    """kubectl ended with an error; the text is what it said."""


def kubectl_command(cluster: Cluster) -> list[str]:
    """kubectl and the flags that bind it to ``cluster``."""
    where = (f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}", f"--cache-dir={_CACHE}")
    return [kubectl_binary(cluster), *where]


def kubectl_for(cluster: Cluster) -> Kubectl:
    """``kubectl("get", "ns")``: what it printed, or KubectlError; ``stdin=`` is handed to it."""
    base = kubectl_command(cluster)

    def run(*arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        done = subprocess.run(
            [*base, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return run
