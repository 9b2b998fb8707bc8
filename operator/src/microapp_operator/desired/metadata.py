"""Names, labels and the seal that every child shares; the one place that decides what a child is called.

Nothing of the MicroApp's own labels or annotations is copied: tracking labels of GitOps tools on a child
would make those tools prune it. Imports constants, errors and model only.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from microapp_operator.constants import (
    ANNOTATION_APPLIED_HASH,
    LABEL_APP,
    LABEL_APP_UID,
    LABEL_MANAGED_BY,
    LABEL_TENANT,
    MANAGED_BY,
    NAMESPACE_PREFIX,
)
from microapp_operator.errors import InvalidSpec
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.canonical import digest

API_VERSIONS: Final[Mapping[str, str]] = {
    "Namespace": "v1",
    "ResourceQuota": "v1",
    "LimitRange": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ServiceAccount": "v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ControllerRevision": "apps/v1",
    "ConfigMap": "v1",
    "VaultAuth": "secrets.hashicorp.com/v1beta1",
    "VaultStaticSecret": "secrets.hashicorp.com/v1beta1",
    "VaultDynamicSecret": "secrets.hashicorp.com/v1beta1",
    "SecretStore": "external-secrets.io/v1",
    "ExternalSecret": "external-secrets.io/v1",
    "PersistentVolumeClaim": "v1",
    "Deployment": "apps/v1",
    "KnativeService": "serving.knative.dev/v1",
    "Service": "v1",
    "PodDisruptionBudget": "policy/v1",
}
"""Every kind a child may have; what a developer declares never adds to it. KnativeService is kind Service."""

LABEL_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""Set on every namespace by the API server itself and protected by it (KEP-2161)."""

_DNS_LABEL_MAX = 63  # RFC 1123, section 2.1
_APP_NAME_MAX = 52  # the CRD's own rule: room for the suffixes of ReplicaSets and Knative revisions
_HASH_DIGITS = 12
_TENANT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_APP = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def shorten(text: str, identity: str) -> str:
    """``text`` when it fits a DNS label, else its head and a hash of ``identity`` (63 characters, RFC 1123)."""
    if len(text) <= _DNS_LABEL_MAX:
        return text
    tail = hashlib.sha256(identity.encode()).hexdigest()[:_HASH_DIGITS]
    head = text[: _DNS_LABEL_MAX - _HASH_DIGITS - 1].rstrip("-")
    return f"{head}-{tail}"


def namespace_name(tenant: str, app: str) -> str:
    """Name of the namespace of the MicroApp ``app`` in namespace ``tenant``: ``ma-<tenant>-<app>``, shortened.

    Never raises. Two short pairs can share a name (``a-b``/``c`` and ``a``/``b-c``); the second to come finds
    a namespace that isn't its own and adopts nothing. So a namespace is never identified by name alone: see
    ``peer_labels``.
    """
    return shorten(f"{NAMESPACE_PREFIX}{tenant}-{app}", f"{tenant}/{app}")


def peer_labels(tenant: str, app: str) -> dict[str, str]:
    """Labels that select the namespace of one MicroApp: its name, which the API server vouches for, and whose it is.

    The name alone is ambiguous, the labels alone could be set by whoever may label a namespace.
    """
    return {LABEL_NAMESPACE_NAME: namespace_name(tenant, app), **pod_selector(tenant, app)}


def pod_selector(tenant: str, app: str) -> dict[str, str]:
    """Labels that select the pods of one MicroApp; they never change, as apps/v1 demands of a selector."""
    return {LABEL_TENANT: tenant, LABEL_APP: app}


def child_labels(app: MicroApp) -> dict[str, str]:
    """Labels of every child of ``app``: whose it is, and that the operator manages it."""
    meta = app.metadata
    return {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_APP_UID: meta.uid,
        **pod_selector(meta.namespace, meta.name),
    }


def build_child(
    app: MicroApp, kind: str, *, name: str, body: Mapping[str, Any], labels: Mapping[str, str] | None = None
) -> Manifest:
    """One sealed child of ``app``: ``body`` under the metadata all children have.

    kind: a key of ``API_VERSIONS``. labels: more labels than all children carry.
    InvalidSpec when the MicroApp's own name can't become the name of a child.
    """
    _require_names(app)
    metadata: Manifest = {"name": name, "labels": {**child_labels(app), **(labels or {})}}
    if kind != "Namespace":
        metadata["namespace"] = namespace_name(app.metadata.namespace, app.metadata.name)
    return seal(
        {
            "apiVersion": API_VERSIONS[kind],
            "kind": kind.removeprefix("Knative"),
            "metadata": metadata,
            **body,
        }
    )


def seal(manifest: Manifest) -> Manifest:
    """A copy of ``manifest`` that carries its own hash as annotation; an earlier seal is replaced."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), ANNOTATION_APPLIED_HASH: compute_seal(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def compute_seal(manifest: Manifest) -> str:
    """SHA-256 (first 32 digits) of the canonical JSON of ``manifest`` without its seal."""
    metadata = dict(manifest["metadata"])
    annotations = dict(metadata.pop("annotations", {}))
    annotations.pop(ANNOTATION_APPLIED_HASH, None)
    if annotations:
        metadata["annotations"] = annotations
    return digest({**manifest, "metadata": metadata})[:32]


def _require_names(app: MicroApp) -> None:
    """The CRD refuses such names already; a child must not depend on that."""
    meta = app.metadata
    if not _APP.fullmatch(meta.name) or len(meta.name) > _APP_NAME_MAX:
        message = f"must be a DNS label (RFC 1035) of at most {_APP_NAME_MAX} characters that starts with a letter."
        raise InvalidSpec(path="metadata.name", message=message)
    if not _TENANT.fullmatch(meta.namespace) or len(meta.namespace) > _DNS_LABEL_MAX:
        message = f"must be a DNS label (RFC 1123) of at most {_DNS_LABEL_MAX} characters."
        raise InvalidSpec(path="metadata.namespace", message=message)
    if not _LABEL_VALUE.fullmatch(meta.uid) or len(meta.uid) > _DNS_LABEL_MAX:
        raise InvalidSpec(path="metadata.uid", message="must be a label value of at most 63 characters.")
