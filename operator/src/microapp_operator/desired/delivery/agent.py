"""Mode Rendered: the agent is a native sidecar (KEP-753) in the template the operator writes anyway.

The app starts once every file is there: the sidecar's startup probe says so. The files are in memory, the agent's own
token never leaves its process, and the projected token is mounted in the agent alone.
"""

import json
from typing import Any, Final

from microapp_operator.desired.context import SecretsContext, SecretSource
from microapp_operator.desired.delivery.files import (
    FOLDER,
    TOKEN_VOLUME,
    VOLUME,
    annotate,
    build_template,
    change_template,
    file_of,
    share_files,
    token_volume,
)
from microapp_operator.desired.delivery.launcher import add_launcher
from microapp_operator.desired.metadata import build_child, seal
from microapp_operator.desired.pod import build_security_context
from microapp_operator.desired.sizes import parse_size
from microapp_operator.desired.vault import identity_name
from microapp_operator.model import Manifest, MicroApp, RiskTier
from microapp_operator.settings import VaultSettings

AGENT: Final = "secrets-agent"
_CONFIG: Final = "/etc/secrets-agent"
_TOKEN: Final = "/var/run/secrets/microapps.dev/vault"  # noqa: S105 - a directory
_USER: Final = 100
"""User ``vault`` of the published images of Vault and OpenBao, which would else start as root."""
_FILES_SIZE: Final = "8Mi"


def build_agent_config(app: MicroApp, secrets: SecretsContext) -> Manifest:
    """The ConfigMap ``secrets-agent``: where the store is, which role, which files. No secret in it."""
    data = {"agent.json": json.dumps(_configuration(app, secrets), indent=1, sort_keys=True) + "\n"}
    if secrets.store.ca:
        data["ca.crt"] = secrets.store.ca
    return build_child(app, "ConfigMap", name=AGENT, body={"data": data})


def add_agent(deployment: Manifest, app: MicroApp, tier: RiskTier, secrets: SecretsContext) -> Manifest:
    """``deployment`` with the agent, its files in the app's container, and the launcher where one is asked for."""
    changed, template, container = change_template(deployment)
    spec = template["spec"]
    share_files(spec, container, {"name": VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": _FILES_SIZE}})
    spec["volumes"] += [token_volume(secrets), {"name": AGENT, "configMap": {"name": AGENT}}]
    spec["initContainers"] = [*spec.get("initContainers", ()), _agent(tier, secrets)]
    add_launcher(spec, container, tier, secrets)
    annotate(template, secrets, [_configuration(app, secrets), secrets.store.ca])
    return seal(changed)


def _agent(tier: RiskTier, secrets: SecretsContext) -> Manifest:
    agent = tier.spec.secrets.agent
    size = parse_size(agent.cpu, agent.memory).render()
    container: Manifest = {
        "name": AGENT,
        "image": secrets.store.agent_image,
        "command": ["vault", "agent", f"-config={_CONFIG}/agent.json"],
        "restartPolicy": "Always",
        "resources": {"requests": size, "limits": dict(size)},
        "securityContext": {**build_security_context(), "runAsUser": _USER},
        "startupProbe": {
            "exec": {"command": _all_there(secrets.sources)},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 600,
        },
        "volumeMounts": [
            {"name": VOLUME, "mountPath": FOLDER},
            {"name": TOKEN_VOLUME, "mountPath": _TOKEN, "readOnly": True},
            {"name": AGENT, "mountPath": _CONFIG, "readOnly": True},
        ],
    }
    if secrets.store.vault_namespace:
        container["env"] = [{"name": "VAULT_NAMESPACE", "value": secrets.store.vault_namespace}]
    return container


def _all_there(sources: tuple[SecretSource, ...]) -> list[str]:
    """A command that succeeds once every file is there and not empty."""
    command = ["test"]
    for source in sources:
        command += ["-a"] * (len(command) > 1) + ["-s", file_of(source)]
    return command


def _configuration(app: MicroApp, secrets: SecretsContext) -> dict[str, Any]:
    """Of ``vault agent``. Its parser takes an object with an object in it for two blocks: hence the lists."""
    store = secrets.store
    vault: dict[str, Any] = {"address": store.address}
    if store.ca:
        vault["ca_cert"] = f"{_CONFIG}/ca.crt"
    return {
        "vault": vault,
        "auto_auth": {"method": [_login(app, store)]},
        "template_config": {"exit_on_retry_failure": False, "static_secret_render_interval": "30s"},
        "template": [
            {
                "destination": file_of(source),
                "contents": build_template(source),
                "perms": "0440",
                "error_on_missing_key": True,
            }
            for source in secrets.sources
        ],
    }


def _login(app: MicroApp, store: VaultSettings) -> dict[str, Any]:
    """One that fails is tried again within 30 s, not within five minutes as by default."""
    return {
        "type": "kubernetes",
        "mount_path": f"auth/{store.auth_mount}",
        "min_backoff": "1s",
        "max_backoff": "30s",
        "config": [{"role": identity_name(app), "token_path": f"{_TOKEN}/token"}],
    }
