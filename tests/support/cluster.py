"""The cluster tests act on, and kubectl against it. Fixtures for the conftest files of tests/ and e2e/."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from hack.lab.build import LabError
from hack.lab.context import Cluster, cluster_from_environment, kubectl_binary, started

Kubectl = Callable[..., str]


class KubectlError(AssertionError):
    """kubectl ended with an error; the text is what it said."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running cluster; a local one that wasn't running before is gone after the session."""
    try:
        chosen = cluster_from_environment()
        with started(chosen):
            yield chosen
    except LabError as error:
        pytest.exit(f"no cluster for the tests: {error}", returncode=1)


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """``kubectl("get", "ns")``: what it printed, or KubectlError; ``stdin=`` is handed to it."""
    return kubectl_for(cluster)


def kubectl_for(cluster: Cluster) -> Kubectl:
    """kubectl bound to ``cluster``: it can't act on any other."""
    base = [kubectl_binary(cluster), f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}"]

    def run(*arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        done = subprocess.run(
            [*base, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    return run
