"""``python -m microapp_operator logs`` as a process, through a real API server, from a node that has logs."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hack.install import install
from hack.kubectl import Kubectl, kubectl_for
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT
from hack.samples import IMAGE, app_manifest
from kubernetes.aio import client as library

from microapp_operator.adapters.kubernetes.client import KubernetesClient
from microapp_operator.adapters.kubernetes.pod_logs import LogRequest, read_pod_log
from microapp_operator.errors import Transient
from tests.support.accounts import kubeconfig_of
from tests.support.kubelet import Kubelet, build_node

ROOT = Path(__file__).parents[2]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
TENANT, APP, HOME = "finance", "expenses", "ma-finance-expenses"
Done = subprocess.CompletedProcess[str]
STAMP = "2026-01-18T15:00:0{}.000000000Z"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A lab of its own, whose API server reaches a node on loopback."""
    lab = HollowLab(tmp_path_factory.mktemp("lab") / "lab")
    lab.up()
    yield Cluster(lab.kubeconfig, CONTEXT, "lab")
    lab.down()


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    kubectl = kubectl_for(cluster)
    install(kubectl)
    for namespace in TENANT, HOME:
        kubectl("create", "namespace", namespace)
    return kubectl


@pytest.fixture(scope="module")
def node(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubelet]:
    with Kubelet(tmp_path_factory.mktemp("kubelet")) as kubelet:
        kubectl("create", "-f", "-", stdin=build_node("with-logs", kubelet.port))
        yield kubelet


@dataclass
class World:
    """An app, and what a test makes of its pods."""

    kubectl: Kubectl
    node: Kubelet
    kubeconfig: Path

    def app(self, **spec: Any) -> None:
        """The MicroApp, as the operator leaves it."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(app_manifest(APP, TENANT, **spec)))
        home = {"status": {"namespace": {"name": HOME, "uid": "uid"}}}
        patch = ("patch", "mapp", APP, "-n", TENANT, "--subresource=status", "--type=merge", "-p", json.dumps(home))
        self.kubectl(*patch)

    def pod(self, name: str, *lines: str, node: str = "with-logs", **status: Any) -> None:
        """A pod of it that has written ``lines``."""
        labels = {"microapps.dev/tenant": TENANT, "microapps.dev/app": APP}
        spec = {"nodeName": node, "containers": [{"name": "app", "image": IMAGE}]}
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        self.kubectl("create", "-n", HOME, "-f", "-", stdin=json.dumps(manifest))
        ran = {"name": "app", "image": IMAGE, "imageID": "", "ready": True, "restartCount": 0, "state": {"running": {}}}
        given = json.dumps({"status": {"phase": "Running", "containerStatuses": [ran | status]}})
        self.kubectl("patch", "pod", name, "-n", HOME, "--subresource=status", "--type=merge", "-p", given)
        self.node.logs[f"{HOME}/{name}/app"] = "".join(f"{line}\n" for line in lines).encode()

    def logs(self, *arguments: str, name: str = APP, kubeconfig: Path | None = None) -> Done:
        """The command, as a user runs it."""
        command = [sys.executable, "-m", "microapp_operator", "logs", name, "-n", TENANT, *arguments]
        place = {"KUBECONFIG": str(kubeconfig or self.kubeconfig), "PYTHONPATH": str(ROOT / "operator" / "src")}
        return subprocess.run(command, env={**os.environ, **place}, capture_output=True, text=True, check=False)


@pytest.fixture
def world(kubectl: Kubectl, node: Kubelet, cluster: Cluster) -> Iterator[World]:
    world = World(kubectl, node, cluster.kubeconfig)
    world.app()
    yield world
    kubectl("delete", "pods", "--all", "-n", HOME, "--force", "--grace-period=0")
    kubectl("delete", "mapp", "--all", "-n", TENANT)


def said(done: Done, status: int = 0) -> str:
    assert done.returncode == status, done
    return done.stdout


def test_records_of_all_pods_come_in_the_order_of_time_with_their_trace(world: World) -> None:
    paid = json.dumps({"level": "info", "msg": "paid", "traceparent": PARENT})
    world.pod("one", f"{STAMP.format(1)} first", f"{STAMP.format(3)} {paid}")
    world.pod("two", f"{STAMP.format(2)} second \x1b[2J")
    done = world.logs()
    assert said(done) == (
        "TIME                      SEVERITY  TRACE                             POD  RECORD\n"
        "2026-01-18T15:00:01.000Z  -         -                                 one  first\n"
        "2026-01-18T15:00:02.000Z  -         -                                 two  second \\x1b[2J\n"
        f"2026-01-18T15:00:03.000Z  info      {TRACE}  one  paid\n"
    )
    assert done.stderr == ""
    (record,) = map(json.loads, said(world.logs("--trace", TRACE, "-o", "json")).splitlines())
    assert record == {
        "timestamp": "2026-01-18T15:00:03Z",
        "severity": "info",
        "message": "paid",
        "app_id": APP,
        "tenant_id": TENANT,
        "trace_id": TRACE,
        "pod": "one",
    }


def test_no_more_are_read_than_asked_for_and_that_there_are_more_is_said(world: World) -> None:
    world.pod("one", *(f"{STAMP.format(n)} {n}" for n in range(9)))
    done = world.logs("--tail", "2", "--since", "1h", "-o", "json")
    assert [json.loads(line)["message"] for line in said(done).splitlines()] == ["7", "8"]
    assert "these are the newest 2; there are more: raise --tail" in done.stderr
    asked = world.node.asked[f"{HOME}/one/app"]
    assert asked == {"timestamps": "true", "sinceSeconds": "3600", "tailLines": "3"}
    assert "no record fits" in world.logs("--trace", TRACE).stderr
    assert "tailLines" not in world.node.asked[f"{HOME}/one/app"]


def test_the_container_before_is_asked_for_where_there_was_one(world: World) -> None:
    ended = {"exitCode": 1, "containerID": "containerd://1"}
    world.pod("again", f"{STAMP.format(1)} last words", lastState={"terminated": ended})
    world.pod("fresh")
    done = world.logs("--previous")
    assert "last words" in said(done)
    assert world.node.asked[f"{HOME}/again/app"]["previous"] == "true"
    assert "pod fresh: its container hasn't run before." in done.stderr


def test_a_pod_that_can_not_be_read_is_named_and_the_others_are_shown(world: World, kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=build_node("gone", port=1))
    world.pod("here", f"{STAMP.format(1)} here")
    world.pod("there", node="gone")
    done = world.logs()
    assert "here" in said(done, 1)
    assert "pod there: " in done.stderr
    assert "connection refused. Fix: Try again; if it lasts, look at its node" in done.stderr


async def test_a_log_that_breaks_off_is_taken_as_far_as_it_came() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwhole\nha")
        await writer.drain()
        writer.close()

    taken: list[bytes] = []
    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        configuration = library.Configuration()
        configuration.host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = KubernetesClient(configuration, in_flight=1)
        request = LogRequest("app", since=None, tail=None, previous=False)
        with pytest.raises(Transient, match="GET /api/v1/namespaces/home/pods/one/log: ClientPayloadError"):
            await read_pod_log(client, "home", "one", request, taken.append)
        await client.close()
    assert b"".join(taken) == b"whole\nha"


def test_what_the_node_says_is_not_taken_for_the_apps(world: World) -> None:
    world.pod("one", "unable to retrieve container logs for containerd://1")
    done = world.logs()
    assert said(done) == ""
    assert "pod one: its node says: unable to retrieve container logs" in done.stderr


def test_an_app_that_is_not_there_or_has_no_pods_is_told_of(world: World) -> None:
    done = world.logs(name="nobody")
    assert said(done, 1) == ""
    assert "MicroApp finance/nobody: GET /apis/microapps.dev/v1alpha1" in done.stderr
    assert "Fix: Look at `kubectl get mapp -A`" in done.stderr
    world.app(suspend=True)
    done = world.logs()
    assert said(done, 1) == ""
    assert f"has no pods in namespace {HOME}: spec.suspend is true. Fix: See" in done.stderr


def test_who_may_not_read_is_told_what_it_takes_until_they_may(
    world: World, kubectl: Kubectl, cluster: Cluster, tmp_path: Path
) -> None:
    kubectl("create", "serviceaccount", "reader", "-n", TENANT)
    path = kubeconfig_of(cluster, kubectl, f"{TENANT}:reader", tmp_path)
    world.pod("one", f"{STAMP.format(1)} read")
    roles = {"microapps-view": TENANT, "microapps-owner-production": HOME}
    account = f"--serviceaccount={TENANT}:reader"
    for role, namespace in roles.items():
        done = world.logs(kubeconfig=path)
        assert said(done, 1) == ""
        assert "is forbidden" in done.stderr
        assert f"ClusterRole {role}" in done.stderr
        assert f"in namespace {namespace}" in done.stderr
        kubectl("create", "rolebinding", role, f"--clusterrole={role}", account, "-n", namespace)
    assert "read" in said(world.logs(kubeconfig=path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no credentials from the kubeconfig"),
        ("clusters: [", "no credentials from the kubeconfig"),
        ("{}", "no credentials from the kubeconfig"),
        ("[]", "no credentials from the kubeconfig"),
        ("", "ClientConnectorError"),
    ],
)
def test_without_credentials_or_api_server_that_is_said(
    world: World, cluster: Cluster, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(re.sub("server: .*", "server: https://127.0.0.1:1", content or cluster.kubeconfig.read_text()))
    done = world.logs(kubeconfig=path)
    assert said(done, 1) == ""
    assert words in done.stderr
    assert "Fix: " in done.stderr
    assert "Traceback" not in done.stderr
