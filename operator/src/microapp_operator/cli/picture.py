"""What the files say of the cluster: tiers, connectors, tenants, namespaces, apps, approvals. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from microapp_operator.cli.manifests import Located
from microapp_operator.cli.scope import OURS, labels_of, split_version
from microapp_operator.cli.sources import Problem
from microapp_operator.constants import ANNOTATION_EDITORS, GROUP, LABEL_APP, LABEL_TENANT
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.desired.namespace import build_namespace
from microapp_operator.errors import InvalidSpec
from microapp_operator.model import (
    Approval,
    Connector,
    Manifest,
    MicroApp,
    RiskTier,
    VoidingChange,
    find_faults,
    parse,
)
from microapp_operator.policy.context import Knowledge
from microapp_operator.policy.settings import PolicySettings


class Picture:
    """The cluster as far as the files tell.

    known: as the rules read it; of apps only those that are there already. foreign: namespaces that are no app's.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self.known = Knowledge.under(settings)
        self.tiers: dict[str, RiskTier] = {}
        self.connectors: dict[str, Connector] = {}
        self.apps: dict[tuple[str, str], MicroApp] = {}
        self.approvals: list[Approval] = []

    def learn(self, located: Iterable[Located], *, there: bool) -> Iterator[Problem]:
        """Take ``located`` in. there: the cluster holds them, so that their faults are said nowhere else."""
        for each in located:
            if each.manifest["kind"] == "Namespace" and split_version(each.manifest)[0] == "":
                self.known.namespaces[str(each.manifest["metadata"].get("name"))] = labels_of(each.manifest)
            if split_version(each.manifest)[0] == GROUP and each.manifest["kind"] in OURS:
                yield from self._learn_ours(each, there=there)

    def settle(self) -> None:
        """Once all is learnt: every app has a namespace of its own, unless that name is taken."""
        for app in self.apps.values():
            try:
                namespace = build_namespace(app)["metadata"]
            except InvalidSpec:
                continue  # no child of it can be made; said when it is judged
            self.known.namespaces.setdefault(namespace["name"], namespace["labels"])

    def taken(self, app: MicroApp) -> str:
        """Name of the namespace ``app`` would get, when it is somebody else's; else empty."""
        name = namespace_name(app.metadata.namespace, app.metadata.name)
        labels = self.known.namespaces.get(name)
        own = {LABEL_TENANT: app.metadata.namespace, LABEL_APP: app.metadata.name}
        return name if labels is not None and not own.items() <= labels.items() else ""

    def app_in(self, namespace: str) -> MicroApp | None:
        """The app whose own namespace it is, as far as known."""
        labels = self.known.namespaces.get(namespace, {})
        return self.apps.get((labels.get(LABEL_TENANT, ""), labels.get(LABEL_APP, "")))

    def _learn_ours(self, each: Located, *, there: bool) -> Iterator[Problem]:
        manifest = stamped(each.manifest)
        kind, name = manifest["kind"], str(manifest["metadata"].get("name"))
        faults = find_faults(OURS[kind], manifest)
        if faults:
            if there:
                what = f"{each.name} is left out: {faults[0].path}: {faults[0].message}"
                yield Problem(each.file, each.line_of(faults[0].path), what, f"See `kubectl explain {kind}`.")
            return
        match parse(OURS[kind], manifest):
            case RiskTier() as tier:
                self.tiers[name] = _lasting(tier)
                self.known.tiers[name] = defaulted(manifest)
            case Connector() as connector:
                self.connectors[name] = connector
                self.known.connectors[name] = defaulted(manifest)
            case MicroApp() as app:
                self.apps[app.metadata.namespace, name] = app
                if there:
                    self.known.apps.setdefault(app.metadata.namespace, set()).add(name)
            case Approval() as approval:
                self.approvals += [approval] if there and "approver" in each.manifest["spec"] else []
            case _:
                self.known.tenants[name] = defaulted(manifest)


def stamped(manifest: Manifest) -> Manifest:
    """With what admission fills in where it is missing: who edits and who approves isn't known from a file."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    if kind == "MicroApp" and isinstance(metadata.get("annotations") or {}, dict):
        annotations = {ANNOTATION_EDITORS: "user:offline", **(metadata.get("annotations") or {})}
        return {**manifest, "metadata": {**metadata, "annotations": annotations}}
    if kind == "Approval" and isinstance(manifest.get("spec"), dict):
        approver: dict[str, Any] = {"approver": "offline", "approverIdentities": ["user:offline"]}
        return {**manifest, "spec": {**approver, **manifest["spec"]}}
    return manifest


def defaulted(manifest: Manifest) -> Manifest:
    """One of ours as the API server stores it: with the defaults of its schema. InvalidSpec when it doesn't fit it."""
    spec = parse(OURS[manifest["kind"]], manifest).spec
    return {**manifest, "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _lasting(tier: RiskTier) -> RiskTier:
    """A file from a repository has no generation, so it can't tell whether the tier has changed since an approval."""
    if tier.metadata.generation:
        return tier
    approvals = tier.spec.approvals
    kept = tuple(change for change in approvals.void_on if change is not VoidingChange.TIER)
    approvals = approvals.model_copy(update={"void_on": kept})
    return tier.model_copy(update={"spec": tier.spec.model_copy(update={"approvals": approvals})})
