"""ServiceAccounts to act as."""

from pathlib import Path

import yaml
from hack.kubectl import Kubectl
from hack.lab.context import Cluster


def kubeconfig_of(cluster: Cluster, kubectl: Kubectl, account: str, folder: Path) -> Path:
    """A kubeconfig with a token of ``account`` (namespace:name), in ``folder``."""
    namespace, name = account.split(":")
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    context = next(c["context"] for c in config["contexts"] if c["name"] == cluster.context)
    token = kubectl("create", "token", name, "-n", namespace).strip()
    config["users"] = [{"name": name, "user": {"token": token}}]
    config["contexts"] = [{"name": name, "context": {"cluster": context["cluster"], "user": name}}]
    config["current-context"] = name
    path = folder / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
