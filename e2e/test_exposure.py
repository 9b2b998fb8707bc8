"""A policy that somebody deletes is put back: how long the app was open meanwhile is measured with packets."""

import json
import subprocess
import time
from collections.abc import Iterator

import pytest
from hack.kubectl import Kubectl, kubectl_command
from hack.lab.context import Cluster
from hack.product import Product
from tests.support.apps import Apps, tenant_of
from tests.support.eventually import eventually

from microapp_operator.probe import OPEN_PORT
from microapp_operator.probe.wire import Target

_KNOCK = """
import json, socket, sys, time
address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
end, opened = time.monotonic() + seconds, []
print("knocking", flush=True)
while time.monotonic() < end:
    try:
        socket.create_connection((address, port), 0.05).close()
        opened.append(time.time())
    except OSError:
        pass
    time.sleep(0.005)
print(json.dumps(opened))
"""


@pytest.fixture(scope="module")
def apps(kubectl: Kubectl, platform: Product, image: str) -> Iterator[Apps]:  # noqa: ARG001
    """mallory may call victim as far as her own policies go; victim lets nobody in."""
    with tenant_of(kubectl, image) as apps:
        victim = {"namespace": apps.tenant, "name": "victim"}
        calls = {"name": "victim", "microApp": victim, "port": OPEN_PORT}
        why = {"dataClassification": "internal", "justification": "curiosity"}
        apps.apply("victim")
        apps.apply("mallory", egress=[{**calls, **why}])
        apps.wait("victim", "mallory")
        yield apps


def test_a_deleted_policy_is_put_back_and_the_window_is_milliseconds(
    apps: Apps, kubectl: Kubectl, cluster: Cluster
) -> None:
    victim, home = apps.pod("victim")["status"]["podIP"], apps.home("victim")
    door = Target("door", victim, OPEN_PORT)
    assert apps.reached("mallory", [door]) == set()
    where = ("exec", apps.pod("mallory")["metadata"]["name"], "-c", "app", "-n", apps.home("mallory"))
    knocking = [*kubectl_command(cluster), *where, "--", "python3", "-c", _KNOCK, victim, str(OPEN_PORT), "15"]
    with subprocess.Popen(knocking, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "knocking"
        uid = (
            "get",
            "networkpolicy",
            "default-deny",
            "-n",
            home,
            "--ignore-not-found",
            "-o",
            "jsonpath={.metadata.uid}",
        )
        before = kubectl(*uid)
        begin = time.monotonic()
        kubectl("delete", "networkpolicy", "default-deny", "-n", home)
        eventually(lambda: kubectl(*uid) not in ("", before))
        restored = time.monotonic() - begin
        opened = json.loads(process.stdout.readline())
    window = (opened[-1] - opened[0]) * 1000 if opened else 0.0
    print(f"policy back after {restored * 1000:.0f} ms; {len(opened)} connections got through within {window:.0f} ms")
    assert apps.reached("mallory", [door]) == set()
    events = kubectl("get", "events.events.k8s.io", "-n", apps.tenant, "-o", "jsonpath={.items[*].note}")
    assert "NetworkPolicy default-deny" in events
