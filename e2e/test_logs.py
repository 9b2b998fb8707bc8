"""Every record delivered, in one form, under the identity of the pod it came from: from pods to a sink."""

import json
import os
import subprocess
import sys
import threading
import uuid
from typing import Any

import pytest
from hack.install import ROOT
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.product import Product
from tests.support.apps import tenant_of
from tests.support.eventually import eventually
from tests.support.logsink import LogSink
from tests.support.talkers import AMPLE, RUN, Talkers

SEED = {
    "timestamp": "2026-01-18T14:32:05Z",
    "app_id": "expense-helper-v2",
    "tenant_id": "finance",
    "user_id": "alice@example.com",
    "action": "expense_submit",
    "resource": "db.expenses",
    "outcome": "success",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}


def test_a_record_arrives_in_its_form_under_its_pods_identity(talkers: Talkers) -> None:
    talkers.start("speaker")
    said = {**SEED, "app_id": "somebody-else", "tenant_id": "root", "user_id": "bob"}
    talkers.ask("speaker", "/say", text=json.dumps(said))
    tenant = talkers.apps.tenant
    eventually(lambda: {**said, "app_id": "speaker", "tenant_id": tenant} in talkers.sink.bodies("speaker"))
    (record,) = [r for r in talkers.sink.told("speaker")["last"] if r["body"].get("user_id") == "bob"]
    assert record["attributes"]["microapp.identity.corrected"] is True
    assert record["resource"]["k8s.pod.name"] == talkers.apps.pod("speaker")["metadata"]["name"]
    assert int(record["attributes"]["microapp.log.retention_days"]) == 365, "an audit record"
    eventually(lambda: talkers.apps.condition("speaker", "LogForwarding")[1], "Forwarding", timeout=60)


@pytest.mark.usefixtures("logging")
def test_the_seeds_own_record_arrives_key_by_key(kubectl: Kubectl, image: str, sink: LogSink) -> None:
    with tenant_of(kubectl, image, "finance") as apps:
        talkers = Talkers(apps, sink)
        talkers.start("expense-helper-v2")
        talkers.ask("expense-helper-v2", "/say", text=json.dumps(SEED))
        eventually(lambda: SEED in sink.bodies("expense-helper-v2"))


def test_no_line_is_lost_while_everything_on_its_way_fails(talkers: Talkers, kubectl: Kubectl) -> None:
    """Sink down for 30 s, sidecars killed, gateway restarted, a file renamed, while two apps write for two minutes."""
    names = {"counter-stdout": "stdout", "counter-file": "file"}
    for name, source in names.items():
        talkers.start(name, source=source)
    for name in names:
        talkers.ask(name, "/start", rate=500, seconds=120)
        eventually(lambda name=name: talkers.arrived(name) > 1000)
    talkers.sink.refuse(30)
    eventually(lambda: talkers.ask("counter-file", "/stats")["written"] > 20_000, timeout=90)
    for name in names:
        talkers.kill_forwarder(name)
    talkers.ask("counter-file", "/rotate")
    eventually(lambda: talkers.ask("counter-file", "/stats")["written"] > 35_000, timeout=90)
    _restart_gateway(kubectl)
    for name, source in names.items():
        written = talkers.finished(name, 120)
        assert written > 50_000
        eventually(lambda name=name: talkers.arrived(name), written, timeout=120)
        told = talkers.sink.told(name)
        print(f"{source}: {written} written, {told['lines']} arrived, {told['repeated']} came twice, 0 lost")
        assert told["highest"] == written - 1
        assert talkers.dropped(name) == 0


def test_beyond_its_room_the_oldest_go_and_are_counted_and_the_app_neither_waits_nor_is_evicted(
    talkers: Talkers, kubectl: Kubectl
) -> None:
    talkers.start("flood")
    pod = talkers.apps.pod("flood")["metadata"]["uid"]
    kubectl("scale", "statefulset", GATEWAY_SET, "-n", "microapp-system", "--replicas=0")
    try:
        kubectl("wait", "pod", f"{GATEWAY_SET}-0", "-n", "microapp-system", "--for=delete", "--timeout=60s")
        talkers.ask("flood", "/start", rate=1000, seconds=15, size=4000)
        written = talkers.finished("flood", 120)
        slowest = talkers.ask("flood", "/stats")["slowest"]
    finally:
        kubectl("scale", "statefulset", GATEWAY_SET, "-n", "microapp-system", "--replicas=1")
    assert written * 4000 > 40 * 2**20, "more than there is room for"
    eventually(lambda: talkers.dropped("flood") > 0, timeout=180)
    eventually(lambda: talkers.arrived("flood") + talkers.dropped("flood"), written, timeout=180)
    assert talkers.sink.told("flood")["highest"] == written - 1, "the newest are kept"
    assert talkers.apps.condition("flood", "LogForwarding")[:2] == ("False", "RecordsDropped")
    assert talkers.apps.pod("flood")["metadata"]["uid"] == pod
    print(f"flood: {written} written, {talkers.dropped('flood')} dropped and counted, slowest write {slowest:.3f} s")


HOSTILE = r"""
import http.server, json, sys, time
out = sys.stdout.buffer
out.write(json.dumps({"message": "spoof", "app_id": "victim", "tenant_id": "victim"}).encode() + b"\n")
out.write(json.dumps({"message": "forged", "traceparent": "00-00000000000000000000000000000000-x-01"}).encode() + b"\n")
out.write(b"huge " + b"y" * 10_000_000 + b"\n")
out.write(b"invalid \xff\xfe\x80 utf-8\n")
out.write(b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n")
out.write(b"line 0 is the last of these\n")
out.flush()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ends, written = time.monotonic() + 3, 0
        while time.monotonic() < ends:
            out.write(b"%d\n" * 1000 % tuple(range(written, written + 1000)))
            written += 1000
        out.flush()
        text = json.dumps({"written": written}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""


def test_a_hostile_app_is_corrected_limited_and_counted_and_its_neighbours_do_not_notice(talkers: Talkers) -> None:
    talkers.start("neighbour")
    talkers.start("hostile", code=HOSTILE)
    eventually(lambda: talkers.arrived("hostile"), 1, timeout=60)
    records = talkers.sink.told("hostile")["last"]
    for body in (record["body"] for record in records):
        assert (body["app_id"], body["tenant_id"]) == ("hostile", talkers.apps.tenant)
    marks = {record["body"]["message"]: record["attributes"] for record in records}
    assert marks["spoof"]["microapp.identity.corrected"] is True
    assert marks["forged"]["microapp.log.trace_invalid"] is True
    assert (
        sum(len(record["body"]["message"]) for record in records if "microapp.log.part" in record["attributes"]) > 10**6
    )
    assert any(message.startswith("invalid \ufffd") for message in marks)
    assert "victim" not in talkers.sink.apps()


def test_a_line_a_microsecond_is_counted_where_it_is_too_much_and_costs_nobody_else(talkers: Talkers) -> None:
    flooded: list[int] = []
    thread = threading.Thread(target=lambda: flooded.append(talkers.ask("hostile", "/flood")["written"]))
    thread.start()
    before = talkers.ask("neighbour", "/start", rate=50, seconds=5)["written"]
    written = talkers.finished("neighbour", 60)
    eventually(lambda: talkers.arrived("neighbour"), written, timeout=60)
    thread.join()
    late = [record["late"] for record in talkers.sink.told("neighbour")["last"][before - written :]]
    print(f"{flooded[0]} lines in 3 s; the latest of a neighbour's {len(late)} came after {max(late):.2f} s")
    eventually(lambda: talkers.dropped("hostile") > 0, timeout=90)
    assert talkers.apps.condition("hostile", "LogForwarding")[:2] == ("False", "RecordsDropped")
    assert talkers.apps.condition("neighbour", "LogForwarding")[:2] == ("True", "Forwarding")
    (state,) = [s for s in talkers.apps.pod("hostile")["status"]["containerStatuses"] if s["name"] == "app"]
    assert state["restartCount"] == 0
    talkers.apps.kubectl("delete", "mapp", "hostile", "-n", talkers.apps.tenant)


BRIEF = "print('line 0 and the last'); raise SystemExit(0)"


def test_a_pod_that_ends_at_once_and_a_job_deliver_their_last_line(talkers: Talkers, kubectl: Kubectl) -> None:
    runtime = {"command": ["python3", "-c", BRIEF], "resources": AMPLE}
    talkers.apps.apply("brief", runtime=runtime)
    eventually(lambda: talkers.arrived("brief") > 0, timeout=120)
    home = talkers.apps.home("speaker")
    found = json.loads(kubectl("get", "deployment", "speaker", "-n", home, "-o", "json"))["spec"]["template"]
    found["spec"]["restartPolicy"] = "Never"
    command = found["spec"]["containers"][0]["command"]
    command[command.index("--") + 1 :] = ["python3", "-c", "print('line 77 of a job')"]
    for probe in ("startupProbe", "readinessProbe"):
        found["spec"]["containers"][0].pop(probe)
    name = f"job-{uuid.uuid4().hex[:6]}"
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": found}}
    kubectl("create", "-n", home, "-f", "-", stdin=json.dumps(job))
    try:
        kubectl("wait", f"job/{name}", "-n", home, "--for=condition=Complete", "--timeout=120s")
        eventually(lambda: talkers.sink.told("speaker")["highest"], 77)
    finally:
        kubectl("delete", "job", name, "-n", home, "--wait=false")


def test_one_trace_goes_through_two_apps_as_the_examples_have_it(talkers: Talkers) -> None:
    apps, code = talkers.apps, (ROOT / "examples" / "logging" / "app.py").read_text()

    def apply(name: str, downstream: str = "", **spec: Any) -> None:
        given = {"CODE": code, "DOWNSTREAM": downstream}
        env = [{"name": key, "value": value} for key, value in given.items()]
        apps.apply(
            name, runtime={"command": ["python3", "-c", RUN], "env": env, "port": 8080, "resources": AMPLE}, **spec
        )

    def peer(name: str) -> dict[str, str]:
        return {"namespace": apps.tenant, "name": name}

    apply("ledger", ingress={"from": [{"microApp": peer("form")}]})
    calls = {"name": "ledger", "microApp": peer("ledger"), "port": 8080, "dataClassification": "internal"}
    apply("form", f"http://ledger.{apps.home('ledger')}.svc/", egress=[{**calls, "justification": "books it"}])
    apps.wait("ledger", "form", seconds=180)
    parent = f"00-{SEED['trace_id']}-00f067aa0ba902b7-01"
    ask = "u.urlopen(u.Request('http://127.0.0.1:8080/filed', headers={'traceparent': %r}))" % parent  # noqa: UP031
    eventually(lambda: apps.python("form", f"import urllib.request as u; print({ask}.status)").strip(), "200")
    for name in ("form", "ledger"):
        said = {"trace_id": SEED["trace_id"], "app_id": name, "outcome": "success"}
        eventually(lambda name=name, said=said: any(said.items() <= b.items() for b in talkers.sink.bodies(name)))


def test_the_command_line_shows_recent_records_with_their_trace(talkers: Talkers, cluster: Cluster) -> None:
    text = json.dumps({"message": "hello there", "trace_id": SEED["trace_id"], "action": "greet", "outcome": "success"})
    talkers.ask("speaker", "/say", text=text)
    command = [sys.executable, "-m", "microapp_operator", "logs", "speaker", "-n", talkers.apps.tenant, "-o", "json"]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PYTHONPATH": str(ROOT / "operator" / "src")}

    def shown() -> bool:
        said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
        records = [json.loads(line) for line in said.splitlines()]
        return any(r.get("message") == "hello there" and r.get("trace_id") == SEED["trace_id"] for r in records)

    eventually(shown)


def test_what_the_platform_logs_and_the_events_of_apps_go_the_same_way(talkers: Talkers, platform: Product) -> None:
    home = talkers.apps.home("speaker")
    eventually(lambda: {"microapp-operator", "microapp-webhook"} <= set(talkers.sink.apps()), timeout=60)
    talkers.apps.kubectl("delete", "pod", "-n", home, "--all", "--wait=false")

    def told() -> bool:
        bodies = talkers.sink.bodies("microapp-operator")
        return any(b.get("resource", "").startswith(f"{home}/Pod/") and "Killing" in b["message"] for b in bodies)

    eventually(told, timeout=60)
    (body, *_) = talkers.sink.bodies("microapp-operator")
    assert body["tenant_id"] == platform.namespace


GATEWAY_SET = "microapp-operator-log-gateway"


def _restart_gateway(kubectl: Kubectl) -> None:
    pod = (f"pod/{GATEWAY_SET}-0", "-n", "microapp-system")
    before = kubectl("get", *pod, "-o", "jsonpath={.metadata.uid}")
    kubectl("delete", *pod)
    eventually(lambda: _ready(kubectl, pod, before), timeout=90)


def _ready(kubectl: Kubectl, pod: tuple[str, ...], before: str) -> bool:
    found = kubectl("get", *pod, "--ignore-not-found", "-o", "json")
    state = json.loads(found) if found else {"metadata": {"uid": before}, "status": {}}
    conditions = {c["type"]: c["status"] for c in state["status"].get("conditions", ())}
    return state["metadata"]["uid"] != before and conditions.get("Ready") == "True"
