"""What an app may try from inside: nothing gets out, and its neighbour hardly notices."""

import socket
import statistics
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hack.kubectl import Kubectl, kubectl_command
from hack.lab.context import Cluster
from hack.lab.nodelab import NodeLab
from hack.product import Product
from tests.support.apps import Apps, tenant_of
from tests.support.eventually import eventually

from microapp_operator.probe import OPEN_PORT
from microapp_operator.probe.wire import Target

_ERRORS = "import ctypes, errno, os, socket; libc = ctypes.CDLL(None, use_errno=True); "
_SYSCALL = _ERRORS + "r = {call}; print(errno.errorcode[ctypes.get_errno()] if r else 'done')"
_ATTEMPT = _ERRORS + "\ntry:\n    {what}\n    print('done')\nexcept OSError as e:\n    print(errno.errorcode[e.errno])"
TCP_ICMP, ALL_PACKETS = "socket.SOCK_RAW, socket.IPPROTO_ICMP", "socket.SOCK_RAW, socket.htons(3)"
ATTEMPTS: dict[str, tuple[str, set[str]]] = {
    "a raw socket": (_ATTEMPT.format(what=f"socket.socket(socket.AF_INET, {TCP_ICMP})"), {"EPERM"}),
    "reading everybody's packets": (_ATTEMPT.format(what=f"socket.socket(socket.AF_PACKET, {ALL_PACKETS})"), {"EPERM"}),
    "a spoofed source address": (
        _ATTEMPT.format(what="socket.socket().bind(('10.244.1.250', 0))"),
        {"EADDRNOTAVAIL"},
    ),
    "a spoofed source address, asked for harder": (
        _ATTEMPT.format(what="socket.socket().setsockopt(socket.SOL_IP, 19, 1)"),
        {"EPERM"},
    ),
    "mounting the host's disk": (_SYSCALL.format(call="libc.mount(b'/dev/vda', b'/tmp', b'ext4', 0, None)"), {"EPERM"}),
    "namespaces of its own": (_SYSCALL.format(call="libc.unshare(0x10000000)"), {"EPERM"}),
    "a device node": (_ATTEMPT.format(what="os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0))"), {"EPERM"}),
    "becoming root": (_ATTEMPT.format(what="os.setuid(0)"), {"EPERM"}),
    "writing to the image": (_ATTEMPT.format(what="open('/usr/bin/evil', 'w')"), {"EROFS", "EACCES"}),
    "a kernel setting": (_ATTEMPT.format(what="open('/proc/sys/kernel/core_pattern', 'w')"), {"EROFS", "EACCES"}),
    "the kernel's memory": (
        _ATTEMPT.format(what="assert open('/proc/kcore', 'rb').read(1) or os.stat('/it/is/empty')"),
        {"EACCES", "EPERM", "ENOENT"},
    ),
    "the runtime's socket": (_ATTEMPT.format(what="os.stat('/run/containerd/containerd.sock')"), {"ENOENT"}),
    "a service account's token": (
        _ATTEMPT.format(what="os.stat('/var/run/secrets/kubernetes.io/serviceaccount/token')"),
        {"ENOENT"},
    ),
    "what the kubelet keeps": (
        _ATTEMPT.format(what="os.stat('/var/lib/kubelet/pods')"),
        {"ENOENT", "EACCES"},
    ),
}


@pytest.fixture(scope="module")
def apps(kubectl: Kubectl, platform: Product, image: str) -> Iterator[Apps]:  # noqa: ARG001
    with tenant_of(kubectl, image) as apps:
        apps.apply("evil")
        apps.apply("neighbour")
        apps.wait("evil", "neighbour")
        yield apps


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_from_inside_fails(apps: Apps, attempt: str) -> None:
    code, errors = ATTEMPTS[attempt]
    assert apps.python("evil", code).strip() in errors


def test_only_its_own_processes_are_in_sight(apps: Apps) -> None:
    code = (
        "import os; own = [open(f'/proc/{p}/cmdline').read() for p in os.listdir('/proc') if p.isdigit()]; "
        "print([c for c in own if 'python3' not in c and c])"
    )
    assert apps.python("evil", code).strip() == "[]"


def test_the_kubelets_are_out_of_reach(apps: Apps, lab: NodeLab) -> None:
    targets = [Target(f"{n.name} {port}", n.address, port) for n in lab.nodes for port in (10250, 10255, 10256, 10249)]
    assert apps.reached("evil", targets) == set()


@pytest.fixture
def latency(apps: Apps, lab: NodeLab) -> Callable[[], list[float]]:
    """Milliseconds that 200 connections to the neighbour took, from its own node; an unanswered one fails."""
    pod = apps.pod("neighbour")
    node = next(n for n in lab.nodes if n.name == pod["spec"]["nodeName"])
    code = (
        "import socket, sys, time\n"
        "for _ in range(200):\n"
        "    begin = time.perf_counter()\n"
        "    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()\n"
        "    print((time.perf_counter() - begin) * 1000)\n"
    )

    def measure() -> list[float]:
        said = node.run("python3", "-c", code, pod["status"]["podIP"], str(OPEN_PORT))
        return [float(line) for line in said.split()]

    return measure


FORK_BOMB = """
import os, signal, time
children = []
try:
    while True:
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        children.append(pid)
except OSError as error:
    print(f"stopped at {len(children)} processes: {error.strerror}", flush=True)
time.sleep(10)
for child in children:
    os.kill(child, signal.SIGKILL)
"""
MEMORY_HOG = "kept = []\nwhile True:\n    kept.append(bytearray(1 << 20))"
DISK_FILLER = """
import time
with open('/tmp/full', 'wb') as file:
    try:
        for _ in range(256):
            file.write(bytes(1 << 20))
            file.flush()
    except OSError as error:
        print(error.strerror, flush=True)
time.sleep(120)
"""
CPU_HOG = """
import os, time
end = time.monotonic() + 10
for _ in range(7):
    if os.fork() == 0:
        break
while time.monotonic() < end:
    pass
"""
BOMBS = {"fork bomb": FORK_BOMB, "memory hog": MEMORY_HOG, "CPU hog": CPU_HOG}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_hits_its_own_pod_alone(
    apps: Apps, latency: Callable[[], list[float]], bomb: str, cluster: Cluster
) -> None:
    before = latency()
    where = ("exec", apps.pod("evil")["metadata"]["name"], "-c", "app", "-n", apps.home("evil"), "--")
    command = [*kubectl_command(cluster), *where, "timeout", "15", "python3", "-c", BOMBS[bomb]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        during = latency()
        while process.poll() is None:
            during += latency()
        said = (process.stdout.read() if process.stdout else "").strip().replace("\n", "; ")
    for what, values in (("before", before), ("during", during)):
        p50, p99 = statistics.median(values), sorted(values)[int(len(values) * 0.99)]
        print(f"{bomb}: neighbour {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    print(f"{bomb}: {said}, exit status {process.returncode}")
    assert process.returncode != 0 or bomb != "memory hog"
    assert len(apps.pods("neighbour")) == 1
    assert all(s["restartCount"] == 0 for s in apps.pod("neighbour")["status"]["containerStatuses"])
    eventually(lambda: apps.condition("evil", "WorkloadAvailable")[0], "True", timeout=120)


def test_a_pod_that_fills_the_disk_is_evicted_and_comes_back_empty(apps: Apps, cluster: Cluster) -> None:
    """An emptyDir's size is watched by the kubelet, not by the file system: it ends the pod (core/v1 EmptyDir)."""
    pod = apps.pod("evil")["metadata"]["name"]
    where = ("exec", pod, "-c", "app", "-n", apps.home("evil"), "--")
    command = [*kubectl_command(cluster), *where, "python3", "-c", DISK_FILLER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        eventually(
            lambda: [p["metadata"]["name"] for p in apps.pods("evil") if not failed(p)] not in ([pod], []), timeout=120
        )
        process.terminate()
    eventually(lambda: apps.condition("evil", "WorkloadAvailable")[0], "True", timeout=120)
    assert len(apps.pods("neighbour")) == 1


def failed(pod: dict[str, Any]) -> bool:
    return bool(pod["status"].get("phase") == "Failed")


def test_sockets_of_the_test_itself_work() -> None:
    """The host isn't what refuses raw sockets: as root here one can be had."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
