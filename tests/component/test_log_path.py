"""All of the way, from what an app writes to the SIEM: the real launcher, sidecar and gateway, two of them killed."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.lab.context import Cluster

from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods, Pod, request
from tests.support.eventually import eventually
from tests.support.gateway import READABLE, Gateway
from tests.support.launcher import python, words
from tests.support.otlp import Receiver
from tests.support.sidecar import Sidecar

LINES = 20_000
_ANY = {"name": "any", "gauge": {"dataPoints": [{"asInt": "1"}]}}
_CODE = f"""
import sys
for n in range({LINES}):
    print('{{"msg": "%d carol@example.com", "app_id": "forged"}}' % n)
    if n % {LINES // 4} == 0:
        sys.stdout.flush()
        input()
"""


@pytest.fixture(scope="module")
def pod(app_pods: AppPods) -> Pod:
    """Where the sidecar is: on this machine, as anyone who connects from it."""
    return app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"), "127.0.0.1")


@pytest.fixture
def siem() -> Iterator[Receiver]:
    """Where it ends."""
    with Receiver() as siem:
        yield siem


@pytest.fixture
def gateway(tmp_path: Path, cluster: Cluster, siem: Receiver) -> Gateway:
    sinks = build_sinks(build_otlp(f"http://127.0.0.1:{siem.port}"), queue_bytes=2**26)
    return Gateway(tmp_path, cluster, sinks, READABLE, key=secrets.token_hex(16))


@pytest.fixture
def sidecar(tmp_path: Path, gateway: Gateway, pod: Pod) -> Sidecar:
    return Sidecar(tmp_path, f"http://127.0.0.1:{gateway.apps}", pod.uid)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where records wait."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def test_none_is_lost_and_each_is_its_apps_while_sidecar_and_gateway_are_killed(
    siem: Receiver, gateway: Gateway, sidecar: Sidecar, spool: Path
) -> None:
    command = words(sidecar.port, spool, *python(_CODE))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as app:
        assert app.stdin is not None
        for _ in range(4):
            with gateway.running(), sidecar.running():
                before = len(siem.records)
                app.stdin.write(b"\n")
                app.stdin.flush()
                eventually(lambda before=before: len(siem.records) > before, timeout=60)
        with gateway.running(), sidecar.running():
            app.communicate(timeout=180)
            eventually(lambda: len(set(siem.ids())), LINES, timeout=60)
    found = dict(zip(siem.ids(), siem.bodies(), strict=True))
    assert sorted(int(body["message"].partition(" ")[0]) for body in found.values()) == list(range(LINES))
    assert all((body["app_id"], body["tenant_id"]) == ("expense-helper-v2", "finance") for body in found.values())
    assert not [body for body in found.values() if "carol" in body["message"]]


def test_how_the_launcher_says_records_fare_is_served_with_whose_they_are(
    gateway: Gateway, sidecar: Sidecar, spool: Path, pod: Pod
) -> None:
    known = {"resourceMetrics": [{**request(pod)["resourceLogs"][0], "scopeMetrics": [{"metrics": [_ANY]}]}]}
    with gateway.running(), sidecar.running():
        eventually(lambda: gateway.post(pod.address, known, "/v1/metrics"), 200)
        done = subprocess.run(words(sidecar.port, spool, "seq", "300"), capture_output=True, check=True)
        assert len(done.stdout.split()) == 300
        whose = {"app_id": "expense-helper-v2", "tenant_id": "finance", "k8s_pod_uid": pod.uid}
        eventually(lambda: gateway.total(gateway.forwarding, "microapp_log_delivered_total", **whose), 300)
        assert gateway.total(gateway.forwarding, "microapp_log_last_delivered_time_seconds", **whose) > 1e9
