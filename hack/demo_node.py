"""``make demo NODE=1``: the product installed by Helm on real nodes, an app that runs, and who reaches it.

With VAULT=1 it has a Vault too, and ``hack.demo_secrets`` plays its part.
"""

import json
from contextlib import ExitStack
from typing import Any

from hack import demo_secrets
from hack.kubectl import KubectlError
from hack.lab.build import LabError
from hack.lab.context import Cluster, lab_of
from hack.lab.network import OUTSIDE_ADDRESS
from hack.lab.nodelab import NodeLab
from hack.lab.vault import LocalVault
from hack.lab.vaultnode import vault_beyond
from hack.product import installed, push_image
from hack.samples import app_manifest
from hack.stage import Stage
from microapp_operator.desired.metadata import namespace_name

TENANT, PORT = "finance", 8080
_SERVE = ["/agnhost", "netexec", f"--http-port={PORT}"]
_PEER = {"microApp": {"namespace": TENANT, "name": "portal"}}


def play(stage: Stage, cluster: Cluster, *, vault: bool) -> None:
    """Install, apply three apps, try who reaches whom, look at what was measured; LabError when a step fails."""
    lab = lab_of(cluster)
    if not isinstance(lab, NodeLab):
        raise LabError("make demo NODE=1 pushes images to the lab's registry: it plays on the lab only.")
    with stage.step("build the operator's image and push it"):
        image, agnhost = push_image(lab), lab.push_agnhost()
        print(f"  {image}")
    with ExitStack() as stack:
        values, server = {}, _vault_of(lab) if vault else None
        if server is not None:
            with stage.step("start a Vault beyond the cluster, and let the operator in"):
                stack.callback(server.remove)
                values = demo_secrets.begin(server, cluster, lab, stage.kubectl)
        with stage.step("install the chart"):
            product = stack.enter_context(installed(cluster, image, values))
        stage.show("get", "pods", "-A", "-o", "wide")
        _play_apps(stage, agnhost)
        print("\n  What the probe measured, node by node:")
        print("".join(f"    {line}\n" for line in product.metrics().splitlines() if "_isolation_enforced{" in line))
        if server is not None:
            demo_secrets.play(stage, cluster, server, image)
        else:
            print("  Secrets from a Vault, who reads them and who doesn't: make demo NODE=1 VAULT=1")


def _vault_of(lab: NodeLab) -> LocalVault:
    """One for the demo alone; LabError when somebody's own is there."""
    if (lab.folder / "vault").exists():
        raise LabError("this cluster has a Vault already, which the demo would replace: make lab-down first.")
    return vault_beyond(lab)


def _play_apps(stage: Stage, image: str) -> None:
    stage.kubectl("create", "namespace", TENANT)
    try:
        with stage.step("apply three apps: portal calls ledger, which lets it in; stranger calls it, too"):
            calls = {"name": "ledger", "microApp": {"namespace": TENANT, "name": "ledger"}, "port": PORT}
            egress = [{**calls, "dataClassification": "internal", "justification": "reads cost centres"}]
            stage.kubectl("apply", "-f", "-", stdin=json.dumps(_app("ledger", image, ingress={"from": [_PEER]})))
            for name in ("portal", "stranger"):
                stage.kubectl("apply", "-f", "-", stdin=json.dumps(_app(name, image, egress=egress)))
            for name in ("ledger", "portal", "stranger"):
                stage.wait(TENANT, name, "Ready")
        with stage.step("wait until isolation is proven"):
            stage.wait(TENANT, "ledger", "IsolationEnforced")
        stage.show("get", "microapps", "-A", "-o", "wide")
        home = namespace_name(TENANT, "ledger")
        service = stage.kubectl("get", "service", "ledger", "-n", home, "-o", "jsonpath={.spec.clusterIP}")
        _try(stage, "portal", f"{service}:80", reached=True)
        _try(stage, "stranger", f"{service}:80", reached=False)
        _try(stage, "portal", f"{OUTSIDE_ADDRESS}:443", reached=False)
        _try(stage, "portal", "10.96.0.1:443", reached=False)
    finally:
        stage.kubectl("delete", "mapp", "--all", "-n", TENANT, "--timeout=120s")
        stage.kubectl("delete", "namespace", TENANT, "--wait=false")


def _app(name: str, image: str, **spec: Any) -> dict[str, Any]:
    small = {"cpu": "100m", "memory": "64Mi"}
    runtime = {"image": image, "command": _SERVE, "port": PORT, "resources": small}
    return app_manifest(name, TENANT, runtime=runtime, **spec)


def _try(stage: Stage, caller: str, target: str, *, reached: bool) -> None:
    """Connect from inside ``caller``; LabError when it isn't as expected."""
    with stage.step(f"{caller} connects to {target}: {'reached' if reached else 'refused'}"):
        where = ("exec", f"deployment/{caller}", "-n", namespace_name(TENANT, caller), "-c", "app", "--")
        try:
            stage.kubectl(*where, "/agnhost", "connect", "--timeout=2s", target)
        except KubectlError as error:
            if reached:
                raise
            print(f"  {str(error).rsplit(': ', 1)[-1].splitlines()[0]}")
            return
        if not reached:
            raise LabError(f"{caller} reached {target}, which nothing allows")
