"""``make bench``: how fast, how much, how many writes, against a raw client in the same run.

Fresh labs of its own, so that nothing else is measured. Apps ask for no replicas: the operator's work is
measured, not the scheduler's. Prints a table and writes bench-out/bench.json. Asserts nothing.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from hack.install import install
from hack.kubectl import kubectl_for
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT
from hack.process import OperatorProcess
from hack.samples import IMAGE, app_manifest
from microapp_operator.adapters.kubernetes.client import MERGE, Call, KubernetesClient, load_configuration
from microapp_operator.adapters.kubernetes.cluster import KubernetesCluster
from microapp_operator.adapters.kubernetes.kinds import MICRO_APP
from microapp_operator.constants import API_VERSION
from microapp_operator.desired.context import RenderContext, RuntimeChoice, WorkloadKind
from microapp_operator.desired.plan import Plan, build_plan
from microapp_operator.model import Manifest, MicroApp, RiskTier, parse

WORKERS, IN_FLIGHT = 16, 32
_POLL = 0.25
"""Seconds between two looks at /metrics, which cost the operator a few milliseconds each."""
_IDLE = {"replicas": 0}
"""Runs no pod."""


async def each(items: list[Any], work: Callable[[Any], Awaitable[object]], workers: int) -> None:
    """Run ``work`` on every item, ``workers`` at a time."""
    left = list(reversed(items))

    async def worker() -> None:
        while left:
            await work(left.pop())

    await asyncio.gather(*(worker() for _ in range(workers)))


class Bench:
    """One run against one lab."""

    def __init__(self, client: KubernetesClient, operator: OperatorProcess, apps: int) -> None:
        self.client, self.operator, self.apps = client, operator, apps
        self.cluster = KubernetesCluster(client)

    async def raw(self) -> float:
        """Apply the same objects, the MicroApp's included, with a bare client at the same concurrency; apps a second.

        No operator runs meanwhile, and nothing is read, watched or written to status.
        """
        tier = await self._tier()
        tenant = "first"
        plans = [(f"app{i}", self._plan(tenant, f"app{i}", tier)) for i in range(self.apps)]

        async def one(item: tuple[str, Plan]) -> None:
            name, plan = item
            await self._post(tenant, name)
            await self.cluster.create(plan.namespace)
            for wave in (plan.guardrails, plan.openings, plan.workload):
                await asyncio.gather(*(self.cluster.apply(manifest) for manifest in wave))

        begin = time.monotonic()
        await each(plans, one, WORKERS)
        return self.apps / (time.monotonic() - begin)

    async def converge(self, tenant: str) -> float:
        """Apply all MicroApps at once; returns seconds until the last is Ready."""
        before = self._ready()
        names = [f"app{i}" for i in range(self.apps)]
        begin = time.monotonic()
        await each(names, lambda name: self._post(tenant, name), IN_FLIGHT)
        while self._ready() < before + self.apps:
            await asyncio.sleep(_POLL)
        return time.monotonic() - begin

    async def converge_one(self) -> None:
        """One app to be edited later, so that the first rush starts warm."""
        await self._post("first", "edited")
        while self._ready() < 1:
            await asyncio.sleep(_POLL)

    async def edits(self, tenant: str, name: str, busy: "asyncio.Task[float]") -> list[float]:
        """Edit one app over and over while ``busy`` runs; seconds from each edit to Ready for it."""
        seconds, number = [], 0
        path = f"{MICRO_APP.collection(tenant)}/{name}"
        while not busy.done():
            number += 1
            env = [{"name": "EDIT", "value": str(number)}]
            body = {"spec": {"runtime": {"env": env}}}
            call = Call("PATCH", path, "bench", (), body, MERGE)
            begin = time.monotonic()
            generation = (await self.client.write(call))["metadata"]["generation"]
            while not _ready_for(await self.client.read(Call("GET", path, "bench")), generation):
                await asyncio.sleep(0.01)
            seconds.append(time.monotonic() - begin)
        return seconds

    async def restart(self) -> tuple[float, int]:
        """Stop and start; returns seconds from the start to idle, and the number of writes."""
        self.operator.stop()
        begin = time.monotonic()
        self.operator.start()
        total = self._count()
        while self._ready() < total or self.operator.total("microapp_operator_queue_depth") > 0:
            await asyncio.sleep(_POLL)
        return time.monotonic() - begin, self.operator.writes()

    async def scan(self) -> dict[str, Any]:
        """The first full pass after the restart: objects, seconds, and CPU seconds of the whole process."""
        cpu = self.operator.usage()[0]
        while self.operator.total("microapp_policy_scans_total", scope="all", outcome="done") < 1:
            await asyncio.sleep(_POLL)
        seconds = self.operator.total("microapp_policy_scan_duration_seconds_sum", scope="all")
        return {
            "scan of everything, objects": round(self.operator.total("microapp_policy_scanned_objects")),
            "scan of everything, s": round(seconds, 2),
            "scan of everything, CPU s": round(self.operator.usage()[0] - cpu, 2),
            "RSS after it, MiB": round(self.operator.usage()[1]),
            "findings": round(self.operator.total("microapp_policy_violations")),
        }

    def _count(self) -> int:
        return self.apps * 2 + 1

    def _ready(self) -> int:
        return int(self.operator.total("microapp_operator_apps", ready="True"))

    async def _post(self, tenant: str, name: str) -> None:
        await self.client.write(
            Call("POST", MICRO_APP.collection(tenant), "bench", (), app_manifest(name, tenant, runtime=_IDLE))
        )

    async def _tier(self) -> RiskTier:
        raw = await self.client.read(Call("GET", f"/apis/{API_VERSION}/risktiers/low", "bench"))
        return parse(RiskTier, raw)

    def _plan(self, tenant: str, name: str, tier: RiskTier) -> Plan:
        raw = app_manifest(name, tenant, runtime=_IDLE)
        raw["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
        context = RenderContext((), RuntimeChoice(WorkloadKind.DEPLOYMENT))
        return build_plan(parse(MicroApp, raw), tier, context)


def _ready_for(app: Manifest, generation: int) -> bool:
    conditions = {c["type"]: c for c in app.get("status", {}).get("conditions", ())}
    ready = conditions.get("Ready", {})
    return bool(ready.get("status") == "True" and ready["observedGeneration"] >= generation)


async def measure(bench: Bench) -> dict[str, Any]:
    """All figures of the operator, in order of measuring, by name."""
    operator, apps = bench.operator, bench.apps
    operator.start()
    await bench.converge_one()
    writes, cpu = _writes(operator), operator.usage()[0]
    seconds = await bench.converge("first")
    children, others = (now - then for now, then in zip(_writes(operator), writes, strict=True))
    cpu_each = (operator.usage()[0] - cpu) / apps
    rss = operator.usage()[1]
    busy = asyncio.create_task(bench.converge("second"))
    edits = await bench.edits("first", "edited", busy)
    restart, restart_writes = await bench.restart()
    rss_restarted = operator.usage()[1]
    scan = await bench.scan()
    writes_scan = operator.writes()
    idle = operator.usage()[0]
    await asyncio.sleep(10)
    p99 = round(quantiles(edits, n=100)[98], 3) if len(edits) > 1 else None
    return {
        "operator, apps/s": round(apps / seconds, 1),
        "all Ready, s": round(seconds, 1),
        "child writes per app": round(children / apps, 2),
        "other writes per app": round(others / apps, 2),
        "CPU per app, ms": round(cpu_each * 1000, 1),
        "RSS at that many apps, MiB": round(rss),
        "edit to Ready while as many converge, s (n, p50, p99)": [len(edits), round(median(edits), 3), p99],
        "restart to idle with twice as many, s": round(restart, 1),
        "writes during restart": restart_writes,
        "RSS after restart with twice as many, MiB": round(rss_restarted),
        **scan,
        "writes up to then": writes_scan,
        "idle CPU, % of a core over 10 s": round((operator.usage()[0] - idle) * 10, 2),
    }


def _writes(operator: OperatorProcess) -> tuple[int, int]:
    """(children, everything else but Events), successful or not."""
    others = int(operator.total("microapp_operator_writes_total", kind="microapps"))
    return operator.writes() - others, others


async def _in_lab(apps: int, run: Callable[[Bench], Awaitable[Any]]) -> Any:
    """Run one part in a fresh lab: each starts from an empty etcd, and none sees the other's objects."""
    lab = HollowLab(Path(tempfile.mkdtemp(prefix="microapp-bench-")) / "lab")
    lab.up()
    kubectl = kubectl_for(Cluster(lab.kubeconfig, CONTEXT, "lab"))
    install(kubectl)
    for tenant in ("first", "second"):
        kubectl("create", "namespace", tenant)
    client = KubernetesClient(await load_configuration(str(lab.kubeconfig), None), in_flight=IN_FLIGHT)
    settings = lab.folder / "settings.yaml"
    settings.write_text(f"registries: [{IMAGE.split('/', maxsplit=1)[0]}/]\n")
    arguments = (f"--workers={WORKERS}", f"--writes-in-flight={IN_FLIGHT}", f"--settings={settings}")
    operator = OperatorProcess(lab.kubeconfig, lab.folder / "operator.log", arguments)
    try:
        return await run(Bench(client, operator, apps))
    finally:
        await client.close()
        if operator.running():
            operator.stop()
        lab.down()


async def _main(apps: int) -> dict[str, Any]:
    before = await _in_lab(apps, Bench.raw)
    measured = await _in_lab(apps, measure)
    after = await _in_lab(apps, Bench.raw)
    ratio = measured["operator, apps/s"] / ((before + after) / 2)
    return {
        "apps": apps,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "raw client, apps/s (before, after)": [round(before, 1), round(after, 1)],
        "ratio to the raw client": round(ratio, 2),
        **measured,
    }


def main() -> None:
    """Parse flags, run, print and save."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench", description=__doc__)
    parser.add_argument("--apps", type=int, default=500, help="MicroApps applied at once")
    result = asyncio.run(_main(parser.parse_args().apps))
    for name, value in result.items():
        print(f"{name:58} {value}")
    out = Path("bench-out")
    out.mkdir(exist_ok=True)
    (out / "bench.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
