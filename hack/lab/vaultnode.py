"""Vault on the lab with real nodes: beyond the cluster, at an address pods can be let reach, and the pods' images."""

from typing import Any

from hack.image.static import push_static
from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER, TEST, VAULT
from hack.lab.images import build_archive
from hack.lab.network import GATEWAY, node_address
from hack.lab.nodelab import API_PORT, NodeLab
from hack.lab.vault import LocalVault, Place

PORT = 8200


def vault_beyond(lab: NodeLab) -> LocalVault:
    """A Vault on the machine ``outside``, not started yet; it ends with the lab."""
    relay = lab.relay("vault", GATEWAY, PORT)
    server = f"https://{node_address(1)}:{API_PORT}"
    place = Place(lab.outside.enter("net", "pid"), GATEWAY, PORT, server, relay)
    return LocalVault(lab.folder / "vault", place)


def chart_values(lab: NodeLab, vault: LocalVault) -> dict[str, Any]:
    """``vault:`` of the chart's values for ``vault``, the pods' images pushed; asked every five seconds."""
    return {
        "address": f"https://{GATEWAY}:{PORT}",
        "ca": vault.ca.read_text(),
        "networks": [f"{GATEWAY}/32"],
        "agentImage": push_agent(lab),
        "launcherImage": push_static(lab, LAUNCHER),
        "resync": 5,
    }


def push_agent(lab: NodeLab) -> str:
    """Push an image with ``vault`` and ``test``, as the agent needs it; returns its reference by digest."""
    ensure_built(VAULT, TEST)
    archive = lab.folder / "vault-agent.tar"
    build_archive(archive, {"/bin/vault": binary(VAULT), "/bin/test": binary(TEST)}, ["/bin/vault"])
    reference = lab.registry.push(archive, "lab/vault")
    archive.unlink()
    return reference
