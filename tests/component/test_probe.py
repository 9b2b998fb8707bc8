"""Gate, check and target as processes, over sockets of this machine."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.lab.controlplane import free_ports

from microapp_operator.probe.check import check
from microapp_operator.probe.connect import answers
from microapp_operator.probe.gate import wait_until_denied
from microapp_operator.probe.listen import listen
from microapp_operator.probe.wire import Target, read_report

HOST = "127.0.0.1"
SOURCE = Path(__file__).parents[2] / "operator" / "src"


@pytest.fixture(scope="module")
def served() -> Iterator[int]:
    """A port on which the target answers."""
    port = free_ports(1)[0]
    ours, theirs = socket.socketpair()
    threading.Thread(target=listen, args=((port,), theirs), daemon=True).start()
    assert ours.recv(1) == b"."
    yield port
    ours.close()


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("address", [HOST, "::1"])
def test_a_target_answers_on_both_protocols_and_families(served: int, protocol: str, address: str) -> None:
    assert answers(address, served, protocol, 2.0)


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_where_nobody_listens_nothing_answers(protocol: str) -> None:
    assert not answers(HOST, free_ports(1)[0], protocol, 0.2)


def test_a_datagram_that_is_taken_but_not_returned_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        assert not answers(HOST, deaf.getsockname()[1], "UDP", 0.2)


def test_all_as_it_should_be_is_reported_at_once(served: int) -> None:
    targets = (Target("open", HOST, served, "TCP", open=True), Target("closed", HOST, free_ports(1)[0]))
    report = check(targets, 30.0)
    assert (report.leaks, report.unreached) == ((), ())
    assert report.confined_after is not None


def test_what_answers_and_must_not_is_a_leak_and_what_does_not_and_must_is_told_too(served: int) -> None:
    targets = (Target("door", HOST, served), Target("control", HOST, free_ports(1)[0], "UDP", open=True))
    report = check(targets, 0.2)
    assert (report.leaks, report.unreached, report.confined_after) == (("door",), ("control",), None)


def test_a_door_that_closes_late_is_no_leak_but_its_time_is_told() -> None:
    with socket.create_server((HOST, 0)) as door:
        target = Target("door", HOST, door.getsockname()[1])
        threading.Timer(0.5, lambda: door.shutdown(socket.SHUT_RDWR)).start()
        report = check((target,), 30.0)
    assert report.leaks == ()
    assert report.confined_after is not None
    assert report.confined_after > 0


def test_the_gate_opens_when_the_denied_target_is_denied() -> None:
    with socket.create_server((HOST, 0)) as api:
        port = api.getsockname()[1]
        assert not wait_until_denied(HOST, port, 0.1)
        threading.Timer(0.3, lambda: api.shutdown(socket.SHUT_RDWR)).start()
        assert wait_until_denied(HOST, port, 30.0)


def run(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """As a pod runs it."""
    command = [sys.executable, "-m", "microapp_operator.probe", *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**clean, "PYTHONPATH": str(SOURCE), **env},
    )


def test_the_gate_says_what_is_wrong_and_ends_with_1_where_nothing_is_enforced(served: int) -> None:
    env = {"KUBERNETES_SERVICE_HOST": HOST, "PROBE_DEADLINE_SECONDS": "0.1"}
    done = run("gate", KUBERNETES_SERVICE_PORT=str(served), **env)
    assert done.returncode == 1
    assert "no network policy is enforced here" in done.stderr
    assert "Fix:" in done.stderr
    assert run("gate", KUBERNETES_SERVICE_PORT=str(free_ports(1)[0]), **env).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("open",), ("gate", "--help"), ("gate",)])
def test_it_is_not_used_by_mistake(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_the_target_answers_on_all_its_ports_and_ends_when_told_to() -> None:
    """In a network of its own: the ports are fixed, and this machine's may be taken."""
    script = (
        "ip link set lo up; python=$0; $python -m microapp_operator.probe answers && exit 3; "
        "$python -m microapp_operator.probe listen & "
        "until $python -m microapp_operator.probe answers; do kill -0 $! || exit 4; done; "
        "kill $!; wait $!; test $? -eq 143"
    )
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", script, sys.executable]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_loads_nothing_that_costs_time() -> None:
    """It starts in front of every app's container, on a few hundredths of a core."""
    done = run_imports()
    assert not {"asyncio", "pydantic", "aiohttp", "kubernetes", "structlog", "argparse"} & done


def run_imports() -> set[str]:
    code = (
        "import runpy, sys, json\n"
        "sys.argv = ['probe', 'gate']\n"
        "try: runpy.run_module('microapp_operator.probe', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    env = {"PYTHONPATH": str(SOURCE), "KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": "9"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return set(json.loads(done.stdout))


def test_a_report_reaches_the_termination_message(served: int, tmp_path: Path) -> None:
    """The path is the kubelet's; here the module that writes there is pointed elsewhere."""
    log = tmp_path / "termination-log"
    code = (
        "import sys; from pathlib import Path; from microapp_operator.probe import wire, __main__\n"
        f"wire.TERMINATION_LOG = Path({str(log)!r})\n"
        "sys.exit(__main__.main(['check']))"
    )
    targets = json.dumps([{"name": "door", "address": HOST, "port": str(served), "protocol": "TCP", "open": False}])
    env = {"PYTHONPATH": str(SOURCE), "PROBE_TARGETS": targets, "PROBE_DEADLINE_SECONDS": "0.1"}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=env, timeout=60)
    assert done.returncode == 1
    report = read_report(log.read_text())
    assert report is not None
    assert report.leaks == ("door",)
