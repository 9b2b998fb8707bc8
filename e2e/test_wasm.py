"""Profile wasm on a cluster without a RuntimeClass for it: the module runs in a container, and is kept in there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.kubectl import Kubectl, KubectlError
from hack.lab.images import build_archive
from hack.lab.nodelab import NodeLab
from hack.product import Product
from tests.support import modules
from tests.support.apps import Apps, tenant_of
from tests.support.eventually import eventually

PORT = 9000
_ASK = (
    "import sys, urllib.request as u; a = u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode() or None), timeout=5); "
    "print(a.status, a.read().hex())"
)


@pytest.fixture(scope="module")
def apps(kubectl: Kubectl, platform: Product, image: str) -> Iterator[Apps]:  # noqa: ARG001
    with tenant_of(kubectl, image) as apps:
        yield apps


def push(lab: NodeLab, folder: Path, name: str, wasm: bytes) -> str:
    """The reference of an image that holds the module and nothing else."""
    (folder / "module").write_bytes(wasm)
    build_archive(folder / f"{name}.tar", {"/app.wasm": folder / "module"}, ["/app.wasm"])
    return lab.registry.push(folder / f"{name}.tar", f"e2e/{name}")


def start(apps: Apps, name: str, image: str, **spec: object) -> None:
    """A MicroApp of profile wasm that ``neighbour`` may call."""
    runtime = {"profile": "wasm", "image": image, "command": [], "port": PORT, "resources": {"memory": "128Mi"}}
    neighbour = {"microApp": {"namespace": apps.tenant, "name": "neighbour"}}
    apps.apply(
        name, runtime=runtime | {"env": [{"name": "GREETING", "value": "hi"}]}, ingress={"from": [neighbour]}, **spec
    )


def reach(apps: Apps, *names: str) -> None:
    """Start the neighbour, which may call ``names``."""
    egress = [
        {
            "name": name,
            "microApp": {"namespace": apps.tenant, "name": name},
            "port": PORT,
            "dataClassification": "internal",
            "justification": "asks it",
        }
        for name in names
    ]
    apps.apply("neighbour", egress=egress)
    apps.wait("neighbour")


def ask(apps: Apps, name: str, body: str = "", caller: str = "neighbour") -> tuple[int, bytes]:
    """Status and body of what ``name`` answers ``caller`` through its Service."""
    status, _, answer = apps.python(caller, _ASK, f"http://{apps.service(name)}/", body).strip().partition(" ")
    return int(status), bytes.fromhex(answer)


@pytest.fixture(scope="module")
def running(apps: Apps, lab: NodeLab, tmp_path_factory: pytest.TempPathFactory) -> Apps:
    folder = tmp_path_factory.mktemp("modules")
    start(apps, "echo", push(lab, folder, "echo", modules.echo()))
    start(apps, "seen", push(lab, folder, "seen", modules.environment()))
    start(apps, "snoop", push(lab, folder, "snoop", modules.snoop("etc/passwd")))
    reach(apps, "echo", "seen", "snoop")
    apps.wait("echo", "seen", "snoop")
    return apps


def test_a_module_is_ready_and_answers_an_allowed_neighbour_through_its_service(running: Apps) -> None:
    assert ask(running, "echo", "hello") == (200, b"hello")
    running.apply("stranger")
    running.wait("stranger")
    with pytest.raises(KubectlError, match=r"timed out|refused"):
        ask(running, "echo", "hello", caller="stranger")


def test_the_condition_names_what_isolates_it(running: Apps) -> None:
    status, reason, message = running.condition("echo", "RuntimeAvailable")
    assert (status, reason) == ("True", "WasmInContainer")
    assert "no network" in message


def test_its_pod_runs_the_platforms_image_and_only_mounts_the_apps(running: Apps, image: str) -> None:
    spec = running.pod("echo")["spec"]
    (container,) = spec["containers"]
    assert container["image"] == image
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [v["image"]["reference"].partition("@")[0] for v in spec["volumes"] if "image" in v] == [
        f"{image.partition('/')[0]}/e2e/echo"
    ]


def test_it_sees_what_is_declared_and_nothing_of_its_container(running: Apps) -> None:
    text = ask(running, "seen")[1].decode()
    found = dict(pair.split("=", 1) for pair in text.strip("\0").split("\0"))
    assert found["GREETING"] == "hi"
    assert not {"KUBERNETES_SERVICE_HOST", "PYTHONPATH", "HOSTNAME", "PATH", "WASM_RUNNER"} & set(found)


def test_it_opens_no_file_of_its_container_and_no_socket(running: Apps) -> None:
    assert "root:" in running.python("snoop", "print(open('/etc/passwd').read())")
    status, tried = ask(running, "snoop")
    assert (status, len(tried)) == (200, 2 * modules.FDS)
    assert 0 not in tried


def test_an_image_without_a_module_says_in_its_log_what_is_missing(running: Apps, agnhost: str) -> None:
    start(running, "empty", agnhost)
    home = running.home("empty")

    def log() -> str:
        pods = running.pods("empty")
        states = [s for pod in pods for s in pod["status"].get("containerStatuses", ()) if s["restartCount"]]
        name = pods[0]["metadata"]["name"] if states else ""
        return running.kubectl("logs", name, "-n", home, "-c", "app") if name else ""

    eventually(lambda: "/app.wasm" in log(), timeout=90)
    assert running.condition("empty", "WorkloadAvailable")[0] == "False"


def test_once_a_runtime_class_is_there_the_node_runs_it(running: Apps, kubectl: Kubectl) -> None:
    """What the lab's nodes have no handler for doesn't start; that it is chosen, and said, is the point."""
    manifest = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "spin"}, "handler": "spin"}
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        eventually(lambda: running.condition("seen", "RuntimeAvailable")[1], "WasmRuntimeClass")
    finally:
        kubectl("delete", "runtimeclass", "spin")
    eventually(lambda: running.condition("seen", "RuntimeAvailable")[1], "WasmInContainer")
    running.wait("seen")
