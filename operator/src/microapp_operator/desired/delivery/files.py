"""What every mode shares: where the files are, what is in them, and how a pod template is changed. Pure."""

import copy
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any, Final

from microapp_operator.constants import ANNOTATION_SECRETS
from microapp_operator.desired.context import SecretsContext, SecretSource, SourceKind
from microapp_operator.desired.pod import CONTAINER
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.canonical import digest

FOLDER: Final = "/secrets"
VOLUME: Final = "secrets"
TOKEN_VOLUME: Final = "secrets-token"  # noqa: S105 - a volume's name
TOKEN_SECONDS: Final = 600
"""The shortest life the API server gives a projected token (TokenRequest, 10 minutes)."""
_GROUP: Final = 65532
"""Group of the files: agent and app run as different users, and share it."""


def build_template(source: SecretSource) -> str:
    """The file's content in the agents' template language: one field as it is, or all of them as a JSON object.

    What goes in is made of letters, digits and ``._/-`` only, as deciding has seen to.
    """
    data = ".Data.data" if source.kind is SourceKind.KV else ".Data"
    value = f"{data}.{source.field}" if source.field else f"{data} | toJSON"
    return f'{{{{ with secret "{source.read_path}" }}}}{{{{ {value} }}}}{{{{ end }}}}'


def file_of(source: SecretSource) -> str:
    """Where the app finds the secret."""
    return posixpath.join(FOLDER, source.name)


def token_volume(secrets: SecretsContext) -> Manifest:
    """A token of the app's account that only Vault takes."""
    token = {"audience": secrets.store.audience, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    return {"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}


def change_template(deployment: Manifest) -> tuple[Manifest, Manifest, Manifest]:
    """A deep copy of ``deployment``, its pod template, and in that the app's container, to be changed in place."""
    changed = copy.deepcopy(deployment)
    template = changed["spec"]["template"]
    app = next(c for c in template["spec"]["containers"] if c["name"] == CONTAINER)
    return changed, template, app


def share_files(spec: Manifest, app: Manifest, volume: Mapping[str, Any]) -> None:
    """Mount ``volume`` with the files, read only, in the container ``app`` of pod ``spec``."""
    app["volumeMounts"] = [*app["volumeMounts"], {"name": volume["name"], "mountPath": FOLDER, "readOnly": True}]
    spec["volumes"] = [*spec["volumes"], dict(volume)]
    security = spec.setdefault("securityContext", {})
    security.setdefault("fsGroup", _GROUP)
    security.setdefault("fsGroupChangePolicy", "OnRootMismatch")


def annotate(template: Manifest, secrets: SecretsContext, configuration: Iterable[Any]) -> None:
    """Have the pods replaced when ``configuration`` changes, or a secret they can't read again."""
    stamp = digest([list(configuration), [list(v) for v in secrets.versions]])[:32]
    metadata = template["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), ANNOTATION_SECRETS: stamp}


def mounts_clash(app: MicroApp, folders: Iterable[str]) -> int | None:
    """Index of the first volume of ``app`` that is mounted at, in or around one of ``folders``; None: there is none."""
    for index, volume in enumerate(app.spec.storage):
        path = posixpath.normpath("/" + volume.mount_path.lstrip("/"))
        if any(posixpath.commonpath((path, folder)) in (path, folder) for folder in folders):
            return index
    return None
