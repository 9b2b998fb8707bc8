"""What ``make demo NODE=1 VAULT=1`` shows of secrets: who reads one, who is refused, and what is on record of it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
from hvac import exceptions as refused

from hack.install import ROOT
from hack.kubectl import Kubectl
from hack.lab.build import LabError
from hack.lab.context import Cluster
from hack.lab.nodelab import NodeLab
from hack.lab.vault import LocalVault
from hack.lab.vaultnode import chart_values
from hack.samples import app_manifest
from hack.secrets import account_token, admit, settings_of
from hack.stage import Stage
from microapp_operator.desired.metadata import namespace_name

TENANT, APP, NEIGHBOUR = "payroll", "payslips", "newsletter"
PATH = f"{TENANT}/{APP}/bank"
SECRET = {"user": "payslips", "token": "correct-horse-battery"}
_READ = """
import http.server, json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("found in /secrets/bank:", ", ".join(json.load(open("/secrets/bank"))), flush=True)
http.server.HTTPServer(("", 8080), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
_CONDITIONS = ("SecretsReady", "RotationCurrent", "VaultReachable")


def begin(vault: LocalVault, cluster: Cluster, lab: NodeLab, kubectl: Kubectl) -> dict[str, Any]:
    """Start Vault and let the operator in; returns the chart's values."""
    vault.up(cluster, kubectl)
    values = chart_values(lab, vault)
    admit(vault, settings_of(values))
    return {"vault": values}


def play(stage: Stage, cluster: Cluster, vault: LocalVault, image: str) -> None:
    """Two apps with a secret each; LabError when a step fails. image: has a Python."""
    stage.kubectl("create", "namespace", TENANT)
    try:
        _read(stage, vault, image)
        _refuse(stage, vault)
        _audit(stage, cluster, vault)
        _status(stage)
        _delete(stage, vault)
    finally:
        stage.kubectl("delete", "mapp", "--all", "-n", TENANT, "--timeout=120s")
        stage.kubectl("delete", "namespace", TENANT, "--wait=false")


def _read(stage: Stage, vault: LocalVault, image: str) -> None:
    home = namespace_name(TENANT, APP)
    with stage.step(f"write a secret for {APP} to Vault, one for its neighbour {NEIGHBOUR}, and apply both"):
        kv = vault.client().secrets.kv.v2
        kv.create_or_update_secret(PATH, SECRET, mount_point="secret")
        kv.create_or_update_secret(f"{TENANT}/{NEIGHBOUR}/bank", {"token": "its own"}, mount_point="secret")
        for name in (APP, NEIGHBOUR):
            stage.kubectl("apply", "-f", "-", stdin=json.dumps(_app(name, image)))
        for name in (APP, NEIGHBOUR):
            stage.wait(TENANT, name, "Ready", seconds=180)
        stage.show("logs", f"deployment/{APP}", "-n", home, "-c", "app")
    with stage.step("the app reads it from its file; the cluster's store has it nowhere"):
        code = "print(open('/secrets/bank').read())"
        found = stage.kubectl("exec", f"deployment/{APP}", "-n", home, "-c", "app", "--", "python3", "-c", code)
        if json.loads(found) != SECRET:
            raise LabError(f"{APP} reads something else than what was written")
        kept = stage.kubectl("get", "all,configmaps,secrets,events", "-n", home, "-o", "yaml")
        if SECRET["token"] in kept or SECRET["token"] in stage.kubectl("get", "mapp", "-n", TENANT, "-o", "yaml"):
            raise LabError(f"the secret of {APP} is in an object of the cluster")
        print(f"  {len(SECRET)} fields as they were written, and in no object of {home}")


def _refuse(stage: Stage, vault: LocalVault) -> None:
    with stage.step(
        f"{NEIGHBOUR} shows Vault a token as its pods have: it gets its own secret, and nothing of {APP}'s"
    ):
        jwt = account_token(stage.kubectl, namespace_name(TENANT, NEIGHBOUR), NEIGHBOUR)
        client = vault.client(token="")
        _expect_forbidden(f"log in as {APP}", lambda: _login(client, APP, jwt))
        _login(client, NEIGHBOUR, jwt)
        _look(client, f"{TENANT}/{NEIGHBOUR}/bank")
        print("  read its own: 200")
        _expect_forbidden(f"read secret/{PATH}", lambda: _look(client, PATH))


def _audit(stage: Stage, cluster: Cluster, vault: LocalVault) -> None:
    with stage.step("what Vault's audit log says of it, one event per use"):
        events = [e for e in _events(cluster, vault) if e["secret_id"] == f"vault://secret/{PATH}"]
        for name, result, justified in ((APP, "success", True), (NEIGHBOUR, "denied", False)):
            who = f"system:serviceaccount:{namespace_name(TENANT, name)}:{name}"
            told = [e for e in events if (e["principal"], e["result"]) == (who, result)]
            if not told or (told[0]["justification"] is not None) is not justified:
                raise LabError(f"the audit log does not say that {who} used {PATH} with {result}: {events}")
            print(f"  {json.dumps(told[0])}")


def _status(stage: Stage) -> None:
    with stage.step("what its status says"):
        for kind in _CONDITIONS:
            stage.wait(TENANT, APP, kind)
            one = f'{{.status.conditions[?(@.type=="{kind}")]'
            said = stage.kubectl("get", "mapp", APP, "-n", TENANT, "-o", f"jsonpath={one}.reason}}: {one}.message}}")
            print(f"  {kind}: {said}")


def _delete(stage: Stage, vault: LocalVault) -> None:
    with stage.step(f"delete {APP}: a login it made before opens nothing any more"):
        client = vault.client(token="")
        _login(client, APP, account_token(stage.kubectl, namespace_name(TENANT, APP), APP))
        _look(client, PATH)
        print("  before: read, 200")
        stage.kubectl("delete", "mapp", APP, "-n", TENANT, "--timeout=120s")
        _expect_forbidden(f"read secret/{PATH}", lambda: _look(client, PATH))


def _app(name: str, image: str) -> dict[str, Any]:
    runtime = {"image": image, "command": ["python3", "-c", _READ], "resources": {"cpu": "100m", "memory": "64Mi"}}
    return app_manifest(name, TENANT, runtime=runtime, secrets=[{"name": "bank", "path": f"{name}/bank"}])


def _login(client: hvac.Client, name: str, jwt: str) -> None:
    """Log in by the role of the app ``name``."""
    client.auth.kubernetes.login(role=namespace_name(TENANT, name), jwt=jwt)


def _look(client: hvac.Client, path: str) -> None:
    client.secrets.kv.v2.read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)


def _expect_forbidden(what: str, attempt: Callable[[], None]) -> None:
    """LabError unless Vault refuses ``attempt``."""
    try:
        attempt()
    except refused.Forbidden:
        print(f"  {what}: 403, permission denied")
    else:
        raise LabError(f"{what}: Vault let it, which nothing allows")


def _events(cluster: Cluster, vault: LocalVault) -> list[dict[str, Any]]:
    """What ``microapp-operator vault-audit`` makes of the log so far."""
    command = [sys.executable, "-m", "microapp_operator", "vault-audit", f"--log={vault.audit_log}", "--once"]
    source = str(ROOT / "operator" / "src")
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PYTHONPATH": source}
    with tempfile.TemporaryDirectory() as folder:
        command.append(f"--state={Path(folder) / 'state'}")
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise LabError(f"vault-audit failed:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]
