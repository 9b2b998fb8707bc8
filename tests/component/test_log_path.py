"""All of the way, from what an app writes to the SIEM: the real launcher, sidecar and gateway, two of them killed."""

import secrets
import subprocess
import sys
from pathlib import Path

from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER
from hack.lab.context import Cluster

from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks
from tests.support.apppods import AppPods
from tests.support.eventually import eventually
from tests.support.gateway import READABLE, Gateway
from tests.support.otlp import Receiver
from tests.support.sidecar import Sidecar

LINES = 20_000
_CODE = f"""
import sys
for n in range({LINES}):
    print('{{"msg": "%d carol@example.com", "app_id": "forged"}}' % n)
    if n % {LINES // 4} == 0:
        sys.stdout.flush()
        input()
"""


def test_none_is_lost_and_each_is_its_apps_while_sidecar_and_gateway_are_killed(
    tmp_path: Path, cluster: Cluster, app_pods: AppPods
) -> None:
    ensure_built(LAUNCHER)
    (tmp_path / "spool").mkdir()
    pod = app_pods.pod(app_pods.namespace("expense-helper-v2", "finance"), "127.0.0.1")
    with Receiver() as siem:
        sinks = build_sinks(build_otlp(f"http://127.0.0.1:{siem.port}"), queue_bytes=2**26)
        gateway = Gateway(tmp_path, cluster, sinks, READABLE, key=secrets.token_hex(16))
        sidecar = Sidecar(tmp_path, f"http://127.0.0.1:{gateway.apps}", pod.uid)
        forward = ("--forward", f"http://127.0.0.1:{sidecar.port}/v1/logs", "--spool", str(tmp_path / "spool"))
        command = [str(binary(LAUNCHER)), "run", *forward, "--drain", "120", "--", sys.executable, "-c", _CODE]
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
