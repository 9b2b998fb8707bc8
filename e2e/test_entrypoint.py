"""An app that doesn't say what it runs runs what its image says, as without a launcher, and its lines arrive."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hack.kubectl import Kubectl
from hack.lab.nodelab import NodeLab
from hack.product import Product
from tests.support.eventually import eventually
from tests.support.pods import Pods
from tests.support.registry import RegistryServer
from tests.support.talkers import AMPLE, TALKER, Talkers

POLICY = ("networkpolicy", "microapp-operator-registries", "-n", "microapp-system")
BRIEF = """
import json, os, sys
print(json.dumps({"message": repr([sys.argv, os.getcwd(), os.environ["PATH"]])}), flush=True)
print("line 0 and the last")
raise SystemExit(42)
"""


@pytest.fixture(scope="module")
def registry(lab: NodeLab) -> RegistryServer:
    """The lab's own."""
    return RegistryServer(lab.registry.address)


def test_it_runs_as_without_a_launcher_and_its_lines_arrive(
    talkers: Talkers, pods: Pods, registry: RegistryServer, image: str
) -> None:
    """A program found by the image's PATH, an argument that a kubelet would expand, an exit status of its own."""
    brief = registry.derive(image, ["python3", "-P", "-c"], [BRIEF, "a b", "$(PATH)", "$$"])
    bare = Pods(pods.kubectl, pods.namespace, brief)
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "bare", "image": brief}]},
    }
    bare.apply(manifest)
    eventually(lambda: bare.get("bare")["status"]["phase"], "Failed", timeout=60)
    said, _ = pods.kubectl("logs", "bare", "-n", pods.namespace).splitlines()
    assert _status(bare.get("bare"), "bare") == 42
    talkers.apps.apply("brief", runtime={"image": brief, "command": [], "resources": AMPLE})
    eventually(lambda: talkers.arrived("brief") > 0, timeout=120)
    messages = {body["message"] for body in talkers.sink.bodies("brief")}
    assert json.loads(said)["message"] in messages
    eventually(lambda: _status(talkers.apps.pod("brief"), "app"), 42, timeout=60)


def _status(pod: dict[str, Any], container: str) -> int | None:
    """The exit status with which it last ended."""
    (found,) = [c for c in pod["status"].get("containerStatuses", ()) if c["name"] == container]
    ended = found["state"].get("terminated") or found["lastState"].get("terminated") or {}
    return ended.get("exitCode")


def test_pods_stay_when_a_new_operator_finds_the_registry_out_of_reach(
    talkers: Talkers, registry: RegistryServer, image: str, kubectl: Kubectl, platform: Product
) -> None:
    server = registry.derive(image, ["python3"], ["-P", "-c", TALKER])
    runtime = {"image": server, "command": [], "port": 8080, "resources": AMPLE}
    talkers.apps.apply("server", runtime=runtime)
    talkers.apps.wait("server", seconds=180)
    talkers.ask("server", "/say", text="line 1")
    eventually(lambda: talkers.arrived("server") > 0)
    pod = talkers.apps.pod("server")["metadata"]["uid"]
    other = registry.derive(image, ["python3"], ["-P", "-c", f"{TALKER}\n# another"])
    with _out_of_reach(kubectl):
        kubectl("rollout", "restart", f"deployment/{platform.name}", "-n", platform.namespace)
        platform.wait_ready()
        talkers.apps.apply("server", runtime=runtime, description="looked at by another process")
        talkers.apps.apply("other", runtime={**runtime, "image": other})
        talkers.apps.wait("other", seconds=180)
        status, reason, message = talkers.apps.condition("other", "LogForwarding")
        assert (status, reason) == ("False", "EntrypointUnknown"), message
        eventually(lambda: _observed(talkers, "server"), 2)
        talkers.apps.wait("server")
        assert talkers.apps.pod("server")["metadata"]["uid"] == pod
        talkers.ask("server", "/say", text="line 2")
        eventually(lambda: talkers.sink.told("server")["highest"], 2)
    talkers.apps.wait("other", condition="LogForwarding", seconds=300)
    talkers.ask("other", "/say", text="line 3")
    eventually(lambda: talkers.sink.told("other")["highest"], 3)


def _observed(talkers: Talkers, name: str) -> int:
    found = json.loads(talkers.apps.kubectl("get", "mapp", name, "-n", talkers.apps.tenant, "-o", "json"))
    return int(found["status"]["observedGeneration"])


@contextmanager
def _out_of_reach(kubectl: Kubectl) -> Iterator[None]:
    """No registry can be reached by the operator."""
    before = json.loads(kubectl("get", *POLICY, "-o", "json"))["spec"]["egress"]
    patch = ("patch", *POLICY, "--type=merge", "-p")
    kubectl(*patch, json.dumps({"spec": {"egress": []}}))
    try:
        yield
    finally:
        kubectl(*patch, json.dumps({"spec": {"egress": before}}))
