"""``make demo``: the product's first way through, on a real API server, step by step with the time each took.

With NODE=1 pods run and packets fly: then ``hack.demo_node`` plays; with VAULT=1, too, they have secrets.

Ends with 0 only if every step did what it says.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from hack import demo_node
from hack.approve import SECURITY, approve, build_approval, grant_reviewers
from hack.install import ROOT, TIERS, install
from hack.kubectl import KubectlError, kubectl_for
from hack.lab.build import LabError
from hack.lab.context import Cluster, cluster_from_environment, started, vault_wanted
from hack.process import OperatorProcess
from hack.stage import Stage, until

EXAMPLES = ROOT / "examples"
OUTCOMES = (
    ("marketing", "lunch-poll", "Ready", "True"),
    ("finance", "expense-helper", "Ready", "True"),
    ("finance", "portal", "Approved", "False"),
    ("marketing", "crunch-everything", "Stalled", "True"),
    ("finance", "payroll", "Stalled", "True"),
    ("finance", "tax-filing", "SecretsReady", "False"),
)
APP, APP_NAMESPACE = "expense-helper", "ma-finance-expense-helper"


def main() -> int:
    """Play the demo."""
    begin = time.monotonic()
    try:
        chosen, vault = cluster_from_environment(), vault_wanted()
        if vault and not chosen.nodes:
            raise LabError("VAULT=1 needs pods that run: make demo NODE=1 VAULT=1")
        with started(chosen):
            stage = Stage(kubectl_for(chosen))
            stage.times.append(("start the cluster", time.monotonic() - begin))
            if chosen.nodes:
                demo_node.play(stage, chosen, vault=vault)
            else:
                _play(stage, chosen)
    except LabError as error:
        print(f"\ndemo: FAILED: {error}", file=sys.stderr)
        return 1
    print("\n\033[1mHow long it took\033[0m")
    for title, seconds in stage.times:
        print(f"  {seconds:7.2f} s  {title}")
    print(f"  {time.monotonic() - begin:7.2f} s  in all\n\ndemo: every step did what it says")
    return 0


def _play(stage: Stage, cluster: Cluster) -> None:
    with stage.step("install CRDs, risk tiers and roles"):
        install(stage.kubectl)
        stage.show("get", "risktiers")
    log = Path(tempfile.mkdtemp(prefix="microapp-demo-")) / "operator.log"
    settings = log.with_name("settings.yaml")
    settings.write_text("registries: [registry.example.com/]\n")
    operator = OperatorProcess(cluster.kubeconfig, log, (f"--settings={settings}",))
    with stage.step("start the operator"):
        operator.start()
        print(f"  its log: {log}")
    try:
        _apply_examples(stage)
        _change_tier(stage)
        _break_children(stage)
        _approve(stage)
        _delete(stage)
    finally:
        stage.kubectl("delete", "-f", str(EXAMPLES), "--ignore-not-found", "--wait=true", "--timeout=120s")
        operator.stop()


def _apply_examples(stage: Stage) -> None:
    with stage.step(
        "apply the examples: one app a tier, one that breaks its tier, one that claims a foreign namespace, "
        "one with secrets and no Vault to have them from"
    ):
        stage.kubectl("apply", "-f", str(EXAMPLES))
        for namespace, name, condition, value in OUTCOMES:
            stage.wait(namespace, name, condition, value)
    stage.show("get", "microapps", "-A")
    print("\n  What each of them is told:")
    for namespace, name, _, _ in OUTCOMES:
        path = '{.status.conditions[?(@.type=="Ready")].message}'
        print(f"    {name}: {stage.kubectl('get', 'mapp', name, '-n', namespace, '-o', f'jsonpath={path}')}")
    print(f"\n  What was created for {APP}:")
    kinds = "quota,limits,networkpolicy,serviceaccount,rolebinding,controllerrevision,deployment,service,pdb,pod"
    stage.show("get", kinds, "-n", APP_NAMESPACE, "-o", "custom-columns=KIND:.kind,NAME:.metadata.name")


def _change_tier(stage: Stage) -> None:
    quota = ("get", "quota", "tier-quota", "-n", "ma-marketing-lunch-poll", "-o", "jsonpath={.spec.hard.pods}")
    with stage.step("change tier low: 9 pods instead of 5; its apps follow"):
        stage.kubectl("patch", "risktier", "low", "--type=merge", "-p", '{"spec":{"quota":{"pods":9}}}')
        until("the quota of lunch-poll follows its tier", lambda: stage.kubectl(*quota) == "9")
    stage.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(TIERS))
    until("the quota of lunch-poll follows its tier back", lambda: stage.kubectl(*quota) == "5")


def _break_children(stage: Stage) -> None:
    with stage.step("delete the deny-all policy behind the operator's back"):
        stage.kubectl("delete", "networkpolicy", "default-deny", "-n", APP_NAMESPACE)
        gone = ("get", "networkpolicy", "default-deny", "-n", APP_NAMESPACE, "--ignore-not-found", "-o", "name")
        until("default-deny is restored", lambda: bool(stage.kubectl(*gone)))
    container = {"spec": {"template": {"spec": {"containers": [{"name": "stowaway", "image": "example.com/x"}]}}}}
    names = "jsonpath={.spec.template.spec.containers[*].name}"
    with stage.step("smuggle a second container into the Deployment"):
        patch = json.dumps(container)
        stage.kubectl("patch", "deployment", APP, "-n", APP_NAMESPACE, "--field-manager=mallory", "-p", patch)
        have = ("get", "deployment", APP, "-n", APP_NAMESPACE, "-o", names)
        until("the stowaway is gone", lambda: stage.kubectl(*have) == "app")
    with stage.step("grant a stranger rights in the app's namespace, and take them back"):
        stage.kubectl("create", "rolebinding", "stranger", "--clusterrole=admin", "--user=eve", "-n", APP_NAMESPACE)
        stage.wait("finance", APP, "NamespaceReady", "False")
        stage.kubectl("delete", "rolebinding", "stranger", "-n", APP_NAMESPACE)
        stage.wait("finance", APP, "Ready")
    columns = "custom-columns=TYPE:.type,REASON:.reason,WHAT:.note"
    stage.show("get", "events.events.k8s.io", "-n", "finance", "--field-selector=type=Warning", "-o", columns)


def _approve(stage: Stage) -> None:
    portal = json.loads(stage.kubectl("get", "mapp", "portal", "-n", "finance", "-o", "json"))
    with stage.step("approve the high-risk app in somebody else's name: refused"):
        grant_reviewers(stage.kubectl)
        forged = build_approval(portal, "portal-forged", approver="alice@example.com")
        try:
            approve(stage.kubectl, forged, "eve@example.com")
        except KubectlError as error:
            print(f"  {error}"[:400])
        else:
            raise LabError("an Approval in somebody else's name was let in")
    with stage.step("approve it: two reviewers, one of them from security"):
        approve(stage.kubectl, build_approval(portal, "portal-alice"), "alice@example.com")
        approve(stage.kubectl, build_approval(portal, "portal-carol"), "carol@example.com", SECURITY)
        stage.wait("finance", "portal", "Ready")
    stage.show("get", "approvals", "-n", "finance")
    stage.show("get", "microapps", "-A", "-o", "wide")


def _delete(stage: Stage) -> None:
    with stage.step(f"delete {APP}: nothing is left"):
        stage.kubectl("delete", "mapp", APP, "-n", "finance", "--timeout=60s")
        left = stage.kubectl("get", "namespace", APP_NAMESPACE, "--ignore-not-found")
        if left:
            raise LabError(f"namespace {APP_NAMESPACE} is still there:\n{left}")


if __name__ == "__main__":
    sys.exit(main())
