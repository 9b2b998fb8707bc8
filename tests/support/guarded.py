"""Admission in force on a real API server, and people whom RBAC lets do everything."""

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hack import admission
from hack.kubectl import Kubectl, KubectlError
from hack.lab.context import Cluster
from hack.process import OperatorProcess
from hack.samples import app_manifest

EMERGENCY = "system:masters"


@dataclass
class World:
    """An app in production, guarded, and people who want in."""

    kubectl: Kubectl
    tenant: str
    webhook: OperatorProcess
    register: Callable[..., None]
    app: str = "victim"

    @property
    def home(self) -> str:
        return f"ma-{self.tenant}-{self.app}"

    @property
    def pod(self) -> str:
        """A pod of the app."""
        return self.kubectl("get", "pods", "-n", self.home, "-o", "jsonpath={.items[0].metadata.name}")

    def attempt(
        self, *arguments: str, user: str = "mallory@example.com", group: str = admission.ANYONE, **manifest: Any
    ) -> str:
        """What kubectl answers ``user``; empty when it let them."""
        stdin = json.dumps(manifest) if manifest else None
        try:
            self.kubectl(f"--as={user}", f"--as-group={group}", *arguments, stdin=stdin)
        except KubectlError as error:
            return str(error)
        return ""

    def create(self, kind: str, version: str = "v1", *, group: str = admission.ANYONE, **fields: Any) -> str:
        metadata = {"name": f"x{uuid.uuid4().hex[:6]}", "namespace": self.home}
        return self.attempt(
            "create", "-f", "-", group=group, apiVersion=version, kind=kind, metadata=metadata, **fields
        )

    def apply_app(self, name: str, user: str = "mallory@example.com", **spec: Any) -> str:
        return self.attempt("create", "-f", "-", user=user, **app_manifest(name, self.tenant, **spec))

    def patch(self, what: str, name: str, patch: Any, *flags: str, user: str = "mallory@example.com") -> str:
        return self.attempt("patch", what, name, "--type=merge", "-p", json.dumps(patch), *flags, user=user)


@contextmanager
def guarded(kubectl: Kubectl, cluster: Cluster, settings: dict[str, Any]) -> Iterator[World]:
    """Floor, webhook and operator under ``settings``, and a tenant of its own; all gone afterwards."""
    tenant = f"t{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", tenant)
    with (
        tempfile.TemporaryDirectory() as name,
        admission.floor(kubectl),
        admission.webhook(kubectl, cluster, settings) as (webhook, register),
    ):
        folder = Path(name)
        file = folder / "settings.yaml"
        file.write_text(yaml.safe_dump(settings))
        identity = admission.identify(kubectl, cluster, admission.OPERATOR, folder)
        with OperatorProcess(identity, folder / "operator.log", (f"--settings={file}",)):
            yield World(kubectl, tenant, webhook, register)
            kubectl("delete", "namespace", tenant, "--timeout=60s")


def rules(text: str) -> set[str]:
    """Ids of the rules that a denial names."""
    return {part.split("]")[0] for part in text.split("[") if part.startswith("MA-")}
