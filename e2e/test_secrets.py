"""A real pod starts with its secret, sees a rotated one, and outlives Vault; a neighbour's token is useless."""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hack.helm import CHART
from hack.kubectl import Kubectl, KubectlError
from hack.lab.context import Cluster
from hack.lab.images import build_archive
from hack.lab.nodelab import NodeLab
from hack.lab.vault import LocalVault
from hack.lab.vaultnode import chart_values, vault_beyond
from hack.product import Product
from hack.samples import app_manifest
from hack.secrets import admit, settings_of
from hvac import exceptions as refused
from tests.support import modules
from tests.support.eventually import eventually

SERVE = """
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(42))
http.server.HTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture(scope="module")
def vault(lab: NodeLab, cluster: Cluster, kubectl: Kubectl) -> Iterator[LocalVault]:
    """Beyond the cluster; gone after these tests."""
    server = vault_beyond(lab)
    server.up(cluster, kubectl)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def product(
    lab: NodeLab, platform: Product, vault: LocalVault, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The chart, told where Vault is; as it was before afterwards."""
    values = chart_values(lab, vault)
    admit(vault, settings_of(values))
    file = tmp_path_factory.mktemp("values") / "values.json"
    for content in (values, None):
        file.write_text(json.dumps({"vault": content}))
        flags = ("--reuse-values", f"--values={file}", "--wait", "--timeout=240s")
        platform.helm("upgrade", platform.name, str(CHART), *flags)
        platform.wait_ready()
        if content is not None:
            yield


@dataclass(frozen=True)
class App:
    """One app of a tenant of its own, whose image has a Python."""

    kubectl: Kubectl
    vault: LocalVault
    tenant: str
    name: str

    @property
    def namespace(self) -> str:
        return f"ma-{self.tenant}-{self.name}"

    def put(self, **values: str) -> None:
        path = f"{self.tenant}/{self.name}/api"
        self.vault.client().secrets.kv.v2.create_or_update_secret(path, values, mount_point="secret")

    def apply(self, image: str, runtime: Mapping[str, Any] | None = None, **secret: Any) -> None:
        runtime = {"image": image, "command": ["python3", "-c", SERVE], **(runtime or {})}
        secrets = [{"name": "api", "path": f"{self.name}/api", **secret}]
        self.kubectl(
            "apply", "-f", "-", stdin=json.dumps(app_manifest(self.name, self.tenant, runtime=runtime, secrets=secrets))
        )

    def wait_ready(self) -> None:
        self.kubectl("wait", "--for=condition=Ready=True", f"mapp/{self.name}", "-n", self.tenant, "--timeout=120s")

    def pods(self) -> list[dict[str, Any]]:
        found = json.loads(self.kubectl("get", "pods", "-n", self.namespace, "-o", "json"))["items"]
        return [p for p in found if "deletionTimestamp" not in p["metadata"]]

    def uid(self) -> str:
        (pod,) = self.pods()
        return str(pod["metadata"]["uid"])

    def run(self, code: str) -> str:
        """What Python prints in the app's own container."""
        pod = self.pods()[0]["metadata"]["name"]
        return self.kubectl("exec", "-n", self.namespace, pod, "-c", "app", "--", "python3", "-c", code).strip()

    def secret(self) -> dict[str, str]:
        """What the app reads."""
        found: dict[str, str] = json.loads(self.run("print(open('/secrets/api').read())"))
        return found

    def variables(self) -> dict[str, str]:
        """What the app itself has in its environment: ``exec`` would show that of another process."""
        found = self.run("print(open('/proc/1/environ').read())").strip("\0").split("\0")
        return dict(pair.split("=", 1) for pair in found)

    def shown(self) -> str:
        """All that the cluster shows of it to those who may look."""
        pod = self.pods()[0]["metadata"]["name"]
        kinds = "all,configmaps,secrets,events,controllerrevisions"
        return "\n".join(
            (
                self.kubectl("get", kinds, "-n", self.namespace, "-o", "yaml"),
                self.kubectl("get", "mapp,events", "-n", self.tenant, "-o", "yaml"),
                self.kubectl("logs", pod, "-n", self.namespace, "--all-containers"),
                *(self.run(f"print(open('/proc/{process}/cmdline').read())") for process in (1, "self")),
            )
        )

    def log(self, container: str) -> str:
        """What a container of its pod has said; nothing while it can't be asked."""
        pod = self.pods()[0]["metadata"]["name"]
        try:
            return self.kubectl("logs", pod, "-n", self.namespace, "-c", container)
        except KubectlError:
            return ""

    def replaced(self, before: str) -> None:
        """Wait until the one pod is another one, and ready."""
        eventually(lambda: [p["metadata"]["uid"] == before for p in self.pods()], [False], timeout=120)
        self.wait_ready()

    def rollouts(self) -> str:
        """How often its pods were changed, the first time included."""
        where = ("get", "deployment", self.name, "-n", self.namespace, "-o", "jsonpath={.metadata.generation}")
        return self.kubectl(*where)

    def reason(self, kind: str) -> tuple[str, str]:
        raw = json.loads(self.kubectl("get", "mapp", self.name, "-n", self.tenant, "-o", "json"))
        return next(
            (c["status"], c["reason"]) for c in raw.get("status", {}).get("conditions", ()) if c["type"] == kind
        )


@pytest.fixture
def app(kubectl: Kubectl, vault: LocalVault, product: None) -> Iterator[App]:  # noqa: ARG001
    tenant = f"t{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", tenant)
    yield App(kubectl, vault, tenant, "app")
    kubectl("delete", "mapp", "--all", "-n", tenant, "--timeout=120s")
    kubectl("delete", "namespace", tenant, "--wait=false")


def test_a_pod_starts_with_its_secret_and_reads_a_new_one_without_a_restart(app: App, image: str) -> None:
    app.put(token="t0")
    app.apply(image)
    app.wait_ready()
    assert app.secret() == {"token": "t0"}
    before = app.uid()
    app.put(token="t1")
    eventually(app.secret, {"token": "t1"}, timeout=90)
    assert app.uid() == before


def test_the_app_waits_for_its_secret_and_is_never_without_it(app: App, image: str) -> None:
    app.apply(image)
    eventually(lambda: len(app.pods()), 1, timeout=60)
    eventually(lambda: app.reason("SecretsReady"), ("False", "SecretNotFound"), timeout=60)
    (pod,) = app.pods()
    statuses = {c["name"]: c for c in pod["status"].get("containerStatuses", ())}
    assert not statuses["app"].get("started")
    app.put(token="late")
    app.wait_ready()
    assert app.secret() == {"token": "late"}


def test_pods_that_can_not_read_again_are_replaced_once_and_in_order(app: App, image: str) -> None:
    app.put(token="t0")
    app.apply(image, onChange="Restart")
    app.wait_ready()
    before = app.uid()
    app.put(token="t1")
    app.replaced(before)
    after = app.uid()
    assert app.secret() == {"token": "t1"}
    assert app.rollouts() == "2"
    assert app.uid() == after


def test_a_variable_is_in_the_apps_process_and_nowhere_else_and_changes_by_one_rollout(app: App, image: str) -> None:
    planted = [f"planted{uuid.uuid4().hex}" for _ in range(2)]
    app.put(token=planted[0])
    app.apply(image, field="token", env="TOKEN")
    app.wait_ready()
    assert app.variables()["TOKEN"] == planted[0]
    assert app.run("import os; print('TOKEN' in os.environ)") == "False"
    shown = app.shown()
    before = app.uid()
    app.put(token=planted[1])
    app.replaced(before)
    assert app.variables()["TOKEN"] == planted[1]
    assert app.rollouts() == "2"
    shown += app.shown()
    assert "TOKEN=/secrets/api" in shown
    assert not [value for value in planted if value in shown]


def test_a_field_that_is_not_there_is_waited_for_and_the_agents_log_names_it(app: App, image: str) -> None:
    planted = f"planted{uuid.uuid4().hex}"
    app.put(other=planted)
    app.apply(image, field="colour", env="COLOUR")
    eventually(lambda: len(app.pods()), 1, timeout=60)
    eventually(lambda: "colour" in app.log("secrets-agent"), timeout=120)
    (pod,) = app.pods()
    statuses = {c["name"]: c for c in pod["status"].get("containerStatuses", ())}
    assert not statuses["app"].get("started")
    assert planted not in app.log("secrets-agent")
    app.put(colour="late")
    app.wait_ready()
    assert app.variables()["COLOUR"] == "late"


def test_behind_the_launcher_the_app_gets_its_signals_and_ends_with_its_own_status(app: App, image: str) -> None:
    app.put(token="t0")
    app.apply(image, field="token", env="TOKEN")
    app.wait_ready()
    assert app.run("print(open('/proc/1/cmdline').read())").startswith("python3\0-c\0")
    app.run("import os, signal; os.kill(1, signal.SIGUSR1)")

    def ended() -> list[int]:
        statuses = app.pods()[0]["status"]["containerStatuses"]
        return [s["lastState"]["terminated"]["exitCode"] for s in statuses if s["name"] == "app" and s["lastState"]]

    eventually(ended, [42], timeout=60)
    app.wait_ready()
    eventually(lambda: app.variables().get("TOKEN"), "t0", timeout=60)


def test_running_pods_keep_their_secret_while_vault_is_sealed(app: App, image: str, vault: LocalVault) -> None:
    app.put(token="t0")
    app.apply(image)
    app.wait_ready()
    before = app.uid()
    vault.seal()
    try:
        eventually(lambda: app.reason("VaultReachable"), ("False", "SecretStoreSealed"), timeout=60)
        assert app.secret() == {"token": "t0"}
        assert app.reason("Ready")[0] == "True"
        assert app.uid() == before
    finally:
        vault.unseal()
    eventually(lambda: app.reason("SecretsReady"), ("True", "SecretsDelivered"), timeout=60)
    app.put(token="t1")
    eventually(app.secret, {"token": "t1"}, timeout=120)
    assert app.uid() == before


def test_the_app_itself_holds_no_token_and_a_neighbours_opens_nothing(app: App, image: str) -> None:
    """The worst case: the neighbour's own container reads what the agent has."""
    neighbour = App(app.kubectl, app.vault, app.tenant, "neighbour")
    for each in (app, neighbour):
        each.put(token=f"of {each.name}")
        each.apply(image)
    app.wait_ready()
    neighbour.wait_ready()
    found = app.run("import os; print([os.path.join(d, f) for d, _, n in os.walk('/var/run/secrets') for f in n])")
    assert found == "[]"
    jwt = app.kubectl("create", "token", "neighbour", "-n", neighbour.namespace, "--audience=vault").strip()
    client = app.vault.client(token="")
    with pytest.raises(refused.Forbidden):
        client.auth.kubernetes.login(role=app.namespace, jwt=jwt)
    client.auth.kubernetes.login(role=neighbour.namespace, jwt=jwt)
    with pytest.raises(refused.Forbidden):
        client.secrets.kv.v2.read_secret_version(
            f"{app.tenant}/app/api", mount_point="secret", raise_on_deleted_version=True
        )
    with pytest.raises(KubectlError):
        app.run("open('/secrets/api', 'w')")


def test_a_module_in_a_container_reads_its_secret_as_it_is_now_and_gets_no_variable(
    app: App, lab: NodeLab, tmp_path: Path
) -> None:
    (tmp_path / "module").write_bytes(modules.reads("api"))
    build_archive(tmp_path / "reads.tar", {"/app.wasm": tmp_path / "module"}, ["/app.wasm"])
    image = lab.registry.push(tmp_path / "reads.tar", "e2e/reads")
    planted = [f"planted{uuid.uuid4().hex}" for _ in range(2)]
    app.put(token=planted[0])
    app.apply(image, {"profile": "wasm", "command": [], "resources": {"memory": "128Mi"}})
    app.wait_ready()
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080', timeout=5).read().decode())"
    assert json.loads(app.run(ask)) == {"token": planted[0]}
    before = app.uid()
    app.put(token=planted[1])
    eventually(lambda: json.loads(app.run(ask)), {"token": planted[1]}, timeout=90)
    assert app.uid() == before
    shown = app.shown()
    assert not [value for value in planted if value in shown]
    app.apply(image, {"profile": "wasm", "command": ["/app.wasm"], "resources": {"memory": "128Mi"}}, env="PYTHONPATH")
    eventually(lambda: app.reason("SecretsReady"), ("False", "SecretNotDeliverable"), timeout=60)
    assert app.uid() == before
    assert "PYTHONPATH=/opt/microapp-operator\0" in app.run("print(open('/proc/1/environ').read())")
