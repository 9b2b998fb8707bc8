"""Chooses the cluster that tests, demo and bench act on: never one that nobody named.

Whatever a kubeconfig's current-context happens to be must not decide where namespaces are created and deleted.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from hack.lab.build import LabError, say
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT, Lab
from hack.lab.nodelab import NodeLab

NAMED_CONTEXT = "MICROAPP_E2E_CONTEXT"
KIND_NAME = "microapp-e2e"
_CHECKOUT = Path(__file__).resolve().parents[2]
_DOCKER_TIMEOUT = 10
_KIND_TIMEOUT = 600
_MOST_NODES = 9


@dataclass(frozen=True)
class Cluster:
    """Where to act: a kubeconfig, the context in it, and who looks after the cluster."""

    kubeconfig: Path
    context: str
    kind: Literal["named", "kind", "lab"]
    nodes: int = 0
    """Real nodes it must have; none asked for with 0."""


def choose_cluster(
    env: Mapping[str, str], *, docker_answers: bool, kind_installed: bool, lab_kubeconfig: Path, kind_kubeconfig: Path
) -> Cluster:
    """The cluster by precedence: the one the user named, kind, the lab. LabError for one that nobody named."""
    kubeconfig, named = env.get("KUBECONFIG", ""), env.get(NAMED_CONTEXT, "")
    if named and not kubeconfig:
        raise LabError(f"{NAMED_CONTEXT}={named} says which context, but not of which file: set KUBECONFIG too.")
    if named and os.pathsep in kubeconfig:
        raise LabError(f"KUBECONFIG={kubeconfig} lists several files: name the one that has the context {named}.")
    if named:
        return Cluster(Path(kubeconfig), named, "named")
    if kubeconfig and os.path.abspath(kubeconfig) != str(lab_kubeconfig):
        raise LabError(
            f"KUBECONFIG={kubeconfig} is set, but no context of it is named, and its current context is not taken "
            f"unasked: set {NAMED_CONTEXT} to the context to use, or unset KUBECONFIG to use a local cluster."
        )
    if not kubeconfig and docker_answers and kind_installed:
        return Cluster(kind_kubeconfig, f"kind-{KIND_NAME}", "kind")
    return Cluster(lab_kubeconfig, CONTEXT, "lab")


def nodes_wanted(env: Mapping[str, str]) -> int:
    """How many real nodes NODE and NODES ask for; 0 for none."""
    node, nodes = env.get("NODE") or "0", env.get("NODES") or "1"
    if node not in ("0", "1"):
        raise LabError(f"NODE={node} is neither 0 nor 1; how many real nodes is said with NODES.")
    if not nodes.isdecimal() or not 1 <= int(nodes) <= _MOST_NODES:
        raise LabError(f"NODES={nodes} is not a number from 1 to {_MOST_NODES}.")
    if node == "0" and env.get("NODES"):
        raise LabError(f"NODES={nodes} asks for real nodes: set NODE=1 too.")
    return int(nodes) if node == "1" else 0


def vault_wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether VAULT asks for a Vault beside the cluster."""
    return env.get("VAULT", "0") not in ("", "0")


def lab_from_environment(env: Mapping[str, str] = os.environ) -> Lab:
    """The lab of this checkout, or the one in LAB_DIR; with NODE=1 the one with real nodes, in a folder beside it."""
    folder = Path(env.get("LAB_DIR") or _CHECKOUT / ".lab").resolve()
    nodes = nodes_wanted(env)
    return NodeLab(folder.with_name(f"{folder.name}-node"), nodes) if nodes else HollowLab(folder)


def cluster_from_environment(env: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster of this shell, not yet started."""
    lab = lab_from_environment(env)
    chosen = choose_cluster(
        env,
        docker_answers=_docker_answers(),
        kind_installed=shutil.which("kind") is not None,
        lab_kubeconfig=lab.kubeconfig,
        kind_kubeconfig=lab.folder.with_name(f"{lab.folder.name}-kind") / "kubeconfig",
    )
    return replace(chosen, nodes=nodes_wanted(env))


def e2e_cluster_from_environment(env: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster for what needs real nodes, two unless NODES says how many; the lab without them is never it."""
    hollow = str(lab_from_environment({**env, "NODE": "0", "NODES": ""}).kubeconfig)
    named = env.get("KUBECONFIG", "")
    kubeconfig = "" if named and os.path.abspath(named) == hollow else named
    return cluster_from_environment({**env, "NODE": "1", "NODES": env.get("NODES") or "2", "KUBECONFIG": kubeconfig})


def lab_of(cluster: Cluster) -> Lab:
    """The lab that is ``cluster``; LabError when it is another kind of cluster."""
    if cluster.kind != "lab":
        raise LabError(f"the cluster {cluster.context} is no lab of ours")
    folder = cluster.kubeconfig.parent
    return NodeLab(folder, cluster.nodes) if cluster.nodes else HollowLab(folder)


@contextmanager
def started(cluster: Cluster) -> Iterator[Cluster]:
    """Have ``cluster`` running; one that wasn't running before is gone afterwards."""
    if cluster.kind == "named":
        check_named(cluster)
        yield cluster
        return
    was_running = lab_of(cluster).running() if cluster.kind == "lab" else _kind_exists(_kind_name(cluster))
    ensure_started(cluster)
    try:
        yield cluster
    finally:
        if not was_running:
            _stop(cluster)


def ensure_started(cluster: Cluster) -> None:
    """Start ``cluster`` unless it runs; one that the user named is only checked."""
    if cluster.kind == "named":
        check_named(cluster)
    elif cluster.kind == "lab":
        lab_of(cluster).up()
    else:
        _start_kind(cluster)


def check_named(cluster: Cluster) -> None:
    """LabError unless the kubeconfig the user named exists and has the context."""
    if not cluster.kubeconfig.is_file():
        raise LabError(f"KUBECONFIG={cluster.kubeconfig} is not there.")
    content = yaml.safe_load(cluster.kubeconfig.read_text()) or {}
    names = [entry["name"] for entry in content.get("contexts") or []]
    if cluster.context not in names:
        raise LabError(f"{cluster.kubeconfig} has no context {cluster.context}; it has: {', '.join(names) or 'none'}.")


def kubectl_binary(cluster: Cluster) -> str:
    """The lab's own kubectl for the lab, else the one on PATH."""
    if cluster.kind == "lab":
        return str(cluster.kubeconfig.parent / "bin" / "kubectl")
    found = shutil.which("kubectl")
    if found is None:
        raise LabError("kubectl is not on PATH.")
    return found


def _docker_answers() -> bool:
    """True when a Docker engine is there; its client alone exits with 0 on some versions, so the answer is read."""
    if shutil.which("docker") is None:
        return False
    command = ["docker", "info", "--format", "{{.ServerVersion}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOCKER_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def _kind(*arguments: str, stdin: str = "") -> str:
    command = ["kind", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_KIND_TIMEOUT, check=False, input=stdin)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)} did not end within {_KIND_TIMEOUT} s") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout


def _kind_name(cluster: Cluster) -> str:
    return cluster.context.removeprefix("kind-")


def _kind_exists(name: str) -> bool:
    return name in _kind("get", "clusters").split()


def _start_kind(cluster: Cluster) -> None:
    cluster.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    name = _kind_name(cluster)
    where = ("--name", name, "--kubeconfig", str(cluster.kubeconfig))
    if _kind_exists(name):
        _kind("export", "kubeconfig", *where)
        return
    say(f"creating the kind cluster {name} …")
    # With more than one node, kind keeps pods off the one with the control plane.
    workers = cluster.nodes if cluster.nodes > 1 else 0
    roles = ["control-plane", *["worker"] * workers]
    config = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [{"role": role} for role in roles]}
    _kind("create", "cluster", *where, "--wait", "180s", "--config", "-", stdin=yaml.safe_dump(config))


def _stop(cluster: Cluster) -> None:
    if cluster.kind == "lab":
        lab_of(cluster).down()
        return
    _kind("delete", "cluster", "--name", _kind_name(cluster), "--kubeconfig", str(cluster.kubeconfig))
    shutil.rmtree(cluster.kubeconfig.parent, ignore_errors=True)
