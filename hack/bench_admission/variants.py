"""The webhooks that are compared: each a process of its own, registered for a namespace of its own."""

import base64
import json
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from hack.admission import registration
from hack.bench_admission import bundles, idle
from hack.bench_admission.pods import SETTINGS, namespace_manifest
from hack.kubectl import Kubectl
from hack.lab.build import LabError
from hack.lab.controlplane import free_ports
from hack.process import OperatorProcess
from microapp_operator.admission.certificates import build_keyring, ca_bundle

HOST = "127.0.0.1"
NOTHING, TEN, FULL, ELSEWHERE, PODS = "no-op", "10 rules", "all rules", "100, other kinds", "100, about pods"
_BUNDLES: dict[str, Callable[[Path], int]] = {
    TEN: bundles.build_ten,
    FULL: bundles.build_full,
    ELSEWHERE: bundles.build_padded_elsewhere,
    PODS: bundles.build_padded_pods,
}
NAMES = (NOTHING, *_BUNDLES)
_SELECTED = "workloads.microapps.dev"
"""The webhook of the configuration that is asked about pods."""


@dataclass
class Variant:
    """One webhook. rules: how many it has. at_rest: MiB once ready, before the first review."""

    name: str
    rules: int
    namespace: str
    port: int
    process: OperatorProcess
    at_rest: float = 0.0

    @property
    def url(self) -> str:
        """Where it takes reviews."""
        return f"https://{HOST}:{self.port}/validate"

    def ask(self, review: bytes, authority: Path) -> dict[str, Any]:
        """What it responds to ``review``; checks once what is then only counted."""
        request = urllib.request.Request(self.url, review, {"Content-Type": "application/json"})
        context = ssl.create_default_context(cafile=str(authority))
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            response: dict[str, Any] = json.load(answer)["response"]
        return response


@dataclass(frozen=True)
class Files:
    """Certificates and settings that all variants share, below ``folder``."""

    folder: Path

    @classmethod
    def write(cls, folder: Path) -> "Files":
        """Make them."""
        keyring = build_keyring([HOST], datetime.now(UTC))
        files = cls(folder)
        files.certificate.write_bytes(keyring.leaf.certificate)
        files.key.touch(mode=0o600)
        files.key.write_bytes(keyring.leaf.key)
        files.authority.write_bytes(ca_bundle(keyring))
        files.settings.write_text(yaml.safe_dump(SETTINGS))
        return files

    @property
    def certificate(self) -> Path:
        """Serving certificate."""
        return self.folder / "serving.crt"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "serving.key"

    @property
    def authority(self) -> Path:
        """Who signed it."""
        return self.folder / "authority.crt"

    @property
    def settings(self) -> Path:
        """The rules' settings."""
        return self.folder / "settings.yaml"


@contextmanager
def running(kubectl: Kubectl, kubeconfig: Path, files: Files) -> Iterator[list[Variant]]:
    """All variants, ready and registered inside, ended afterwards."""
    with ExitStack() as stack:
        variants = []
        for number, name in enumerate(NAMES):
            variant = _prepare(name, f"bench-{number}", kubeconfig, files)
            make_namespace(kubectl, variant.namespace, governed=True)
            stack.enter_context(variant.process)
            variant.at_rest = variant.process.usage()[1]
            _apply(kubectl, _registration(variant, files.authority.read_bytes()))
            variants.append(variant)
        yield variants


def _prepare(name: str, namespace: str, kubeconfig: Path, files: Files) -> Variant:
    port = free_ports(1)[0]
    flags = [f"--host={HOST}", f"--port={port}", f"--certificate={files.certificate}", f"--key={files.key}"]
    log = files.folder / f"{namespace}.log"
    if name == NOTHING:
        process = OperatorProcess(kubeconfig, log, tuple(flags), ("webhook",), idle.MODULE)
        return Variant(name, 0, namespace, port, process)
    bundle = files.folder / f"{namespace}.tar.gz"
    rules = _BUNDLES[name](bundle)
    flags += [f"--bundle={bundle}", f"--settings={files.settings}"]
    process = OperatorProcess(kubeconfig, log, tuple(flags), ("webhook", "--health-port=0"))
    return Variant(name, rules, namespace, port, process)


def _registration(variant: Variant, authority: bytes) -> dict[str, Any]:
    """What ships, of it the webhook for pods, narrowed to the variant's namespace."""
    manifest = registration(variant.port)
    webhook = next(each for each in manifest["webhooks"] if each["name"] == _SELECTED)
    here = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [variant.namespace]}
    selector = {"matchExpressions": [*webhook["namespaceSelector"]["matchExpressions"], here]}
    client = {**webhook["clientConfig"], "caBundle": base64.b64encode(authority).decode()}
    manifest["metadata"]["name"] = variant.namespace
    manifest["webhooks"] = [{**webhook, "namespaceSelector": selector, "clientConfig": client}]
    return manifest


def check(variant: Variant, review: bytes, authority: Path, *, compliant: bool) -> int:
    """How many violations it answers with; LabError when it allows what it should not, or the reverse."""
    response = variant.ask(review, authority)
    if response["allowed"] is not (compliant or variant.name == NOTHING):
        raise LabError(f"{variant.name}: unexpected answer: {json.dumps(response)}")
    return len(response.get("status", {}).get("details", {}).get("causes", ()))


def make_namespace(kubectl: Kubectl, name: str, *, governed: bool) -> None:
    """A namespace that pods can be created in."""
    _apply(kubectl, namespace_manifest(name, governed=governed))
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=30s")


def _apply(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))
