"""A lab of a test's own, beside the session's: put to use, and known from other labs."""

from pathlib import Path

from hack.kubectl import kubectl_for
from hack.lab.context import Cluster
from hack.lab.lab import CONTEXT
from hack.lab.nodelab import NodeLab

from tests.support.eventually import eventually
from tests.support.pods import Pods


def use(lab: NodeLab) -> Pods:
    """Run two pods under a policy, and see it enforced."""
    pods = Pods(kubectl_for(Cluster(lab.kubeconfig, CONTEXT, "lab", lab.count)), "default", lab.push_agnhost())
    pods.serve("app", "other")
    deny = {"podSelector": {"matchLabels": {"app": "app"}}, "policyTypes": ["Ingress"]}
    pods.apply(
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"}, "spec": deny}
    )
    assert pods.reaches("app", pods.address("other"))
    eventually(lambda: pods.reaches("other", pods.address("app")), wanted=False)
    return pods


def without_other_labs(groups: set[Path], own: str) -> set[Path]:
    """Groups, without those of labs that may come and go beside this one."""
    return {group for group in groups if group.name == own or not group.name.startswith("microapp-lab-")}
