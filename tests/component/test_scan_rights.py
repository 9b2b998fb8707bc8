"""The scan under the rights its ClusterRole gives, and none besides."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.process import OperatorProcess
from prometheus_client import CollectorRegistry

from microapp_operator.adapters.kubernetes.client import KubernetesClient, load_configuration
from microapp_operator.adapters.kubernetes.informer import Informer
from microapp_operator.adapters.policies import Policies, PolicyFiles
from microapp_operator.reconcile.queue import WorkQueue
from microapp_operator.reconcile.store import Store
from microapp_operator.scan.wiring import Scan, Surroundings, build_scan
from microapp_operator.wiring.clock import SystemClock
from tests.component.conftest import Tenant
from tests.support import openreports
from tests.support.accounts import kubeconfig_of
from tests.support.eventually import eventually

ROLE = "microapps-scan"
OPEN = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}


@pytest.fixture
def account(kubectl: Kubectl, cluster: Cluster, tenant: Tenant, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of an account that has this role."""
    name = f"scan-{uuid.uuid4().hex[:6]}"
    kubectl("create", "serviceaccount", name, "-n", tenant.name)
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={ROLE}", f"--serviceaccount={tenant.name}:{name}")
    yield kubeconfig_of(cluster, kubectl, f"{tenant.name}:{name}", tmp_path)
    kubectl("delete", "clusterrolebinding", name)


@asynccontextmanager
async def scanning(kubeconfig: Path, settings: Path, apps: list[Any]) -> AsyncIterator[Scan]:
    """The scan by itself, which knows ``apps`` and no tiers."""
    client = KubernetesClient(await load_configuration(str(kubeconfig), None), in_flight=8)
    policies = Policies(PolicyFiles(settings=settings))
    store = Store((), policies.settings, policies.engine.digest)
    queue, registry = WorkQueue(), CollectorRegistry()
    around = Surroundings(client, Informer(client), policies, store, queue, SystemClock(), registry)
    scan = build_scan(around, interval=1000)
    for app in apps:
        store.put_app(app)
    scan.start()
    reconciling = asyncio.create_task(reconcile(queue))
    try:
        yield scan
    finally:
        await scan.stop()
        await queue.close()
        await reconciling
        await client.close()


async def reconcile(queue: WorkQueue) -> None:
    """Nothing to do, at once."""
    while (key := await queue.get()) is not None:
        queue.done(key)


async def until(check: Callable[[], object], wanted: object = True) -> None:
    """Wait, with the loop running."""
    await asyncio.to_thread(eventually, check, wanted, timeout=60)


async def test_it_reads_judges_and_reports_with_its_role_alone(
    cluster: Cluster,
    tenant: Tenant,
    account: Path,
    tmp_path: Path,
) -> None:
    with OperatorProcess(cluster.kubeconfig, tmp_path / "operator.log"):
        namespace = tenant.apply()
        tenant.wait("app", "Ready")
    settings = tmp_path / "settings.yaml"
    settings.write_text("registries: [registry.example.com/]\n")
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open"}, "spec": OPEN}
    tenant.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(policy))
    kind = "reports.openreports.io"

    def told() -> list[Any]:
        items: list[Any] = json.loads(tenant.kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]
        return items

    with openreports.served(tenant.kubectl):
        async with scanning(account, settings, [tenant.get("mapp", "app")]) as scan:
            await until(lambda: bool(told()))
            assert [result["rule"] for result in told()[0]["results"]] == ["MA-NET-001"]
            name = told()[0]["metadata"]["name"]
            added = json.dumps({"scopeSelector": {"matchLabels": {"a": "b"}}})  # a field an apply can't take out
            tenant.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", added)
            await until(lambda: ["scopeSelector" in each for each in told()], [False])
            narrow = json.dumps({"spec": {"egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}]}})
            tenant.kubectl("patch", "networkpolicy", "open", "-n", namespace, "--type=merge", "-p", narrow)
            scan.loop.namespace(namespace)
            await until(told, [])
            assert scan.dead() is None
    who = f"--as=system:serviceaccount:{tenant.name}:{account.stem}"
    for verb in ("list", "watch"):
        assert tenant.kubectl(who, "auth", "can-i", verb, "tenants.microapps.dev").strip() == "yes"
