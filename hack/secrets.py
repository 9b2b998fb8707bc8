"""The product's side of a local Vault: the operator's role and policy in it, and the file for ``run --vault``."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from hack.admission import OPERATOR, SYSTEM
from hack.kubectl import Kubectl
from hack.lab.vault import AUDIENCE, LocalVault
from microapp_operator.desired.vault import build_operator_policy
from microapp_operator.settings import VaultSettings

AGENT_IMAGE = "registry.example.com/platform/vault@sha256:" + "c" * 64
LAUNCHER_IMAGE = "registry.example.com/platform/launcher@sha256:" + "d" * 64
_POLICY = "microapp-operator"


def connect(vault: LocalVault, kubectl: Kubectl, folder: Path, **settings: Any) -> Path:
    """Let the operator in as the documentation says; returns the settings file. ``settings`` replace fields of it."""
    account = {"name": OPERATOR, "namespace": SYSTEM}
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
    ):
        kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
    token = folder / "vault-token"
    token.unlink(missing_ok=True)
    with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(account_token(kubectl, SYSTEM, OPERATOR))
    content = {
        "address": vault.address,
        "ca": vault.ca.read_text(),
        "tokenFile": str(token),
        "networks": ["127.0.0.1/32"],
        "agentImage": AGENT_IMAGE,
        "launcherImage": LAUNCHER_IMAGE,
        **settings,
    }
    admit(vault, settings_of(content))
    path = folder / "vault.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def settings_of(content: dict[str, Any]) -> VaultSettings:
    """The settings that a file of this ``content`` has."""
    return VaultSettings.model_validate(content)


def admit(vault: LocalVault, settings: VaultSettings) -> None:
    """The operator's policy and role in Vault, as docs/secrets.md tells an admin to make them."""
    client = vault.client()
    client.sys.create_or_update_policy(_POLICY, build_operator_policy(settings))
    client.write_data(
        f"auth/{settings.auth_mount}/role/{settings.role}",
        data={
            "bound_service_account_names": [OPERATOR],
            "bound_service_account_namespaces": [SYSTEM],
            "audience": AUDIENCE,
            "alias_name_source": "serviceaccount_uid",
            "token_ttl": "1h",
            "token_policies": [_POLICY],
            "token_no_default_policy": True,
        },
    )


def account_token(kubectl: Kubectl, namespace: str, name: str, audience: str = AUDIENCE, duration: str = "8h") -> str:
    """A token of a ServiceAccount, as the kubelet would project it."""
    where = ("-n", namespace, f"--audience={audience}", f"--duration={duration}")
    return kubectl("create", "token", name, *where).strip()
