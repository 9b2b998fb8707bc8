"""The five kinds and how kubectl shows them."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from hack.crdgen.schema import build_schema
from microapp_operator.constants import GROUP, VERSION
from microapp_operator.model import Approval, Connector, MicroApp, RiskTier, Tenant

Crd = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind: columns are (title, type, JSON path, priority); selectable are field selectors (KEP-4358).

    categories: kubectl expands a category before it looks for a resource of that name, for delete as well. So
    ``microapps`` is MicroApp's alone: else ``kubectl delete microapps --all`` would take the RiskTiers along.
    """

    model: type[BaseModel]
    plural: str
    short: str
    scope: str
    columns: tuple[tuple[str, str, str, int], ...]
    selectable: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("microapp-platform",)


_AGE = ("Age", "date", ".metadata.creationTimestamp", 0)


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


KINDS = (
    Kind(
        MicroApp,
        "microapps",
        "mapp",
        "Namespaced",
        (
            ("Tier", "string", ".spec.riskTier", 0),
            ("Stage", "string", ".spec.stage", 0),
            ("Ready", "string", _condition("Ready", "status"), 0),
            ("Reason", "string", _condition("Ready", "reason"), 0),
            ("Approved", "string", _condition("Approved", "status"), 0),
            _AGE,
            ("Namespace", "string", ".status.namespace.name", 1),
            ("Message", "string", _condition("Ready", "message"), 1),
        ),
        (".spec.riskTier", ".spec.stage"),
        ("microapps", "microapp-platform"),
    ),
    Kind(
        RiskTier,
        "risktiers",
        "rtier",
        "Cluster",
        (
            ("Rank", "integer", ".spec.rank", 0),
            ("CPU", "string", ".spec.quota.cpu", 0),
            ("Memory", "string", ".spec.quota.memory", 0),
            ("Pods", "integer", ".spec.quota.pods", 0),
            ("Reviewers", "integer", ".spec.approvals.reviewers", 0),
            _AGE,
        ),
    ),
    Kind(
        Connector,
        "connectors",
        "mconn",
        "Cluster",
        (("Tiers", "string", ".spec.tiers", 0), ("Hosts", "string", ".spec.hosts", 0), _AGE),
    ),
    Kind(
        Approval,
        "approvals",
        "mappr",
        "Namespaced",
        (
            ("App", "string", ".spec.microApp", 0),
            ("Scope", "string", ".spec.scope", 0),
            ("Approver", "string", ".spec.approver", 0),
            ("Decision", "string", ".spec.decision", 0),
            ("Expires", "string", ".spec.expiresAt", 0),  # kubectl shows a date to come as <invalid>
            _AGE,
        ),
        (".spec.microApp", ".spec.scope"),
    ),
    Kind(
        Tenant,
        "tenants",
        "mten",
        "Cluster",
        (("Namespaces", "string", ".spec.namespaces", 0), ("Tiers", "string", ".spec.tiers", 0), _AGE),
    ),
)


def build_crd(kind: Kind) -> Crd:
    """The CustomResourceDefinition of ``kind``."""
    schema = build_schema(kind.model)
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [_column(*column) for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    if "status" in schema["properties"]:
        # kstatus takes an object without status for current; -1 says that nobody has looked yet.
        schema["properties"]["status"]["default"] = {"observedGeneration": -1}
        version["subresources"] = {"status": {}}
    name = kind.model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short],
                "categories": list(kind.categories),
            },
            "versions": [version],
        },
    }


def _column(title: str, type_: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": title, "type": type_, "jsonPath": path}
    return column | {"priority": priority} if priority else column
