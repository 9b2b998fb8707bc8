"""``make bench-node``: from a MicroApp applied to its pod Ready, beside a bare Deployment of the same image.

Two nodes of a lab of its own, the product installed by its chart. Apps and bare Deployments by turns, so that what else
the machine does falls on both alike; the difference is what is ours. Prints a table and writes
bench-out/bench-node.json. Asserts nothing.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from hack.kubectl import Kubectl, kubectl_command, kubectl_for
from hack.lab.build import LabError, say
from hack.lab.context import Cluster
from hack.lab.lab import CONTEXT
from hack.lab.nodelab import NodeLab
from hack.product import Product, installed, push_image
from hack.samples import app_manifest
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.desired.workload import build_probes

TENANT, PORT = "bench", 8080
SERVE = ["/agnhost", "netexec", f"--http-port={PORT}"]
AIM = 1.0
"""Seconds that ours may take on top of a bare pod."""
_READY = '{.metadata.namespace} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}'
_SMALL = {"cpu": "50m", "memory": "32Mi"}


@dataclass
class Readiness:
    """When a pod first was Ready, by namespace."""

    cluster: Cluster
    seen: dict[str, float] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep watching inside."""
        command = [*kubectl_command(self.cluster), "get", "pods", "-A", "--watch", "-o", f"jsonpath={_READY}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            thread = threading.Thread(target=self._follow, args=(process,))
            thread.start()
            try:
                yield
            finally:
                process.terminate()
                thread.join()

    def since(self, begin: float, namespace: str, *, timeout: float = 120) -> float:
        """Seconds from ``begin`` until the pod in ``namespace`` was Ready."""
        with self._changed:
            if not self._changed.wait_for(lambda: namespace in self.seen, timeout):
                raise LabError(f"no pod in {namespace} was Ready within {timeout:.0f} s")
        return self.seen[namespace] - begin

    def _follow(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            namespace, _, ready = line.strip().partition(" ")
            if ready == "True":
                with self._changed:
                    self.seen.setdefault(namespace, time.monotonic())
                    self._changed.notify_all()


@contextmanager
def _lab() -> Iterator[NodeLab]:
    lab = NodeLab(Path(tempfile.mkdtemp(prefix="microapp-bench-")) / "lab", 2)
    lab.up()
    try:
        yield lab
    finally:
        lab.down()
        lab.folder.parent.rmdir()


def _app(kubectl: Kubectl, name: str, image: str) -> str:
    """Apply a MicroApp; returns the namespace its pod will be in."""
    runtime = {"image": image, "command": SERVE, "port": PORT, "resources": _SMALL}
    manifest = app_manifest(name, TENANT, runtime=runtime)
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    return namespace_name(TENANT, name)


def _bare(kubectl: Kubectl, name: str, image: str) -> str:
    """Apply a namespace and a Deployment with the same container and probes, and nothing of ours."""
    namespace = f"bare-{name}"
    container: dict[str, Any] = {"name": "app", "image": image, "command": SERVE, **build_probes(PORT)}
    container["resources"] = {"requests": _SMALL, "limits": _SMALL}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    manifests = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
    ]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    return namespace


def _rest(kubectl: Kubectl, name: str) -> None:
    """Have both run no pod any more: two small nodes have no room for all of them."""
    kubectl("scale", f"deployment/{name}", "-n", f"bare-{name}", "--replicas=0")
    kubectl("patch", "mapp", name, "-n", TENANT, "--type=merge", "-p", '{"spec": {"suspend": true}}')


def _by_turns(cluster: Cluster, image: str, apps: int) -> dict[str, list[float]]:
    """Seconds to Ready of each sort, one after the other. The first of each doesn't count: images are pulled."""
    kubectl, readiness = kubectl_for(cluster), Readiness(cluster)
    kubectl("create", "namespace", TENANT)
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    with readiness.watched():
        for number in range(apps + 1):
            for sort, apply in (("bare", _bare), ("ours", _app)):
                begin = time.monotonic()
                namespace = apply(kubectl, f"app{number}", image)
                seconds[sort].append(readiness.since(begin, namespace))
            _rest(kubectl, f"app{number}")
    return {sort: values[1:] for sort, values in seconds.items()}


def _probe_cost(product: Product, lab: NodeLab) -> dict[str, float]:
    """What the last minutes' probes took: seconds until confined, from the operator's own histogram."""
    rows = dict(line.rsplit(" ", 1) for line in product.metrics().splitlines() if line and not line.startswith("#"))
    name = "microapp_operator_isolation_confined_seconds"
    count = float(rows.get(f"{name}_count", 0))
    mean = float(rows.get(f"{name}_sum", 0)) / count if count else float("nan")
    return {"probes": count, "nodes": len(lab.nodes), "mean seconds until a fresh pod was confined": round(mean, 3)}


def _percentile(values: list[float], part: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * part // 100)]


def _measure(apps: int) -> dict[str, Any]:
    with _lab() as lab:
        cluster = Cluster(lab.kubeconfig, CONTEXT, "lab", len(lab.nodes))
        image, agnhost = push_image(lab), lab.push_agnhost()
        with installed(cluster, image) as product:
            say(f"{apps} apps and {apps} bare Deployments, by turns …")
            seconds = _by_turns(cluster, agnhost, apps)
            cost = _probe_cost(product, lab)
    added = [ours - bare for bare, ours in zip(seconds["bare"], seconds["ours"], strict=True)]
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, all of it shared by two nodes and the control plane",
        "seconds": seconds,
        "p50": {sort: median(values) for sort, values in seconds.items()},
        "p99": {sort: _percentile(values, 99) for sort, values in seconds.items()},
        "added p50": median(added),
        "added p99": _percentile(added, 99),
        "probe": cost,
    }


def main() -> int:
    """Parse flags, run, print and save."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench_node", description=__doc__)
    parser.add_argument("--apps", type=int, default=30)
    arguments = parser.parse_args()
    try:
        found = _measure(arguments.apps)
    except LabError as error:
        print(f"bench-node: {error}", file=sys.stderr)
        return 1
    print(f"{found['machine']}\n")
    print(f"{'to pod Ready, s':24} {'p50':>7} {'p99':>7}")
    for sort in ("bare", "ours"):
        print(f"{sort:24} {found['p50'][sort]:7.2f} {found['p99'][sort]:7.2f}")
    print(f"{'ours on top, pairwise':24} {found['added p50']:7.2f} {found['added p99']:7.2f}   aim: ≤ {AIM:g} (p50)")
    print(f"ratio of p50s: {found['p50']['ours'] / found['p50']['bare']:.2f}\nprobe: {found['probe']}")
    out = Path("bench-out")
    out.mkdir(exist_ok=True)
    (out / "bench-node.json").write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
