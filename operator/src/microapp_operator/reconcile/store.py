"""What the feeds delivered last: MicroApps as they came, tiers, connectors and approvals parsed.

Answers from memory; knows which apps a change elsewhere concerns. Does no I/O.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import structlog

from microapp_operator.decide.decision import Surroundings
from microapp_operator.decide.entrypoint import Answer
from microapp_operator.decide.forwarding import LogGateway
from microapp_operator.decide.forwarding_view import ForwardingView
from microapp_operator.decide.isolation import UNPROBED, Isolation
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.errors import InvalidSpec
from microapp_operator.model import Approval, Connector, Manifest, RiskTier, parse
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.reconcile.queue import Key
from microapp_operator.settings import Capabilities, Images, Network, VaultSettings
from microapp_operator.view import Scan

log = structlog.get_logger(__name__)
P = TypeVar("P", RiskTier, Connector, Approval)
POLICY_KINDS: dict[str, type[RiskTier] | type[Connector] | type[Approval]] = {
    "RiskTier": RiskTier,
    "Connector": Connector,
    "Approval": Approval,
}


def key_of(raw: Manifest) -> Key:
    """(namespace, name) of a MicroApp."""
    return raw["metadata"]["namespace"], raw["metadata"]["name"]


def version_of(raw: Manifest) -> int:
    """resourceVersion as a number; comparable from Kubernetes 1.35 on (KEP-5504)."""
    return int(raw["metadata"].get("resourceVersion") or 0)


class Store:
    """Memory of the feeds. reserved: ranges no app may reach by address. settings: of the rules.

    policy_digest: of the policy bundle in force. isolation: what the nodes' probes say. vault: the secret store, None
    when there is none. gateway: where records go, None when nowhere. entrypoints: what is known of what images run.
    """

    def __init__(
        self,
        reserved: tuple[Network, ...],
        settings: PolicySettings | None = None,
        policy_digest: str = "",
        images: Images | None = None,
    ) -> None:
        self._reserved, self._images = reserved, images or Images()
        self.isolation: Isolation = UNPROBED
        self.settings = settings or PolicySettings()
        self.policy_digest = policy_digest
        self.vault: VaultSettings | None = None
        self.gateway: LogGateway | None = None
        self.entrypoints: Mapping[str, Answer] = {}
        self._apps: dict[Key, Manifest] = {}
        self._by_namespace: dict[str, set[Key]] = defaultdict(set)
        self._tiers: dict[str, RiskTier] = {}
        self._connectors: dict[str, Connector] = {}
        self._approvals: dict[str, dict[str, Approval]] = defaultdict(dict)
        self._scans: dict[Key, Scan] = {}
        self._forwarding: dict[Key, ForwardingView] = {}
        self.on_news: Callable[[Key], None] = lambda _: None
        """Told of each MicroApp that is new, not as it was, by whomever it was changed, or gone."""

    def __len__(self) -> int:
        return len(self._apps)

    def put_app(self, raw: Manifest) -> bool:
        """Keep ``raw`` unless something newer of the same UID is kept; True when it was news."""
        key = key_of(raw)
        old = self._apps.get(key)
        same = old is not None and old["metadata"]["uid"] == raw["metadata"]["uid"]
        if old is not None and same and version_of(old) >= version_of(raw):
            return False
        kept = {**raw, "metadata": {k: v for k, v in raw["metadata"].items() if k != "managedFields"}}
        self._apps[key] = kept
        if not same:
            self._scans.pop(key, None)
            self._forwarding.pop(key, None)
        self._by_namespace[namespace_name(*key)].add(key)
        self.on_news(key)
        return True

    def drop_app(self, key: Key, uid: str) -> None:
        """Forget the MicroApp of that UID; a newer one of the same name stays."""
        kept = self._apps.get(key)
        if kept is None or kept["metadata"]["uid"] != uid:
            return
        del self._apps[key]
        self._scans.pop(key, None)
        self._forwarding.pop(key, None)
        keys = self._by_namespace[namespace_name(*key)]
        keys.discard(key)
        if not keys:
            del self._by_namespace[namespace_name(*key)]
        self.on_news(key)

    def app(self, key: Key) -> Manifest | None:
        """The MicroApp as last delivered, or None."""
        return self._apps.get(key)

    def is_new(self, key: Key) -> bool:
        """True until the MicroApp has been reconciled once."""
        raw = self._apps.get(key)
        return raw is not None and raw.get("status", {}).get("observedGeneration", -1) < 0

    def keys(self) -> list[Key]:
        """All MicroApps."""
        return list(self._apps)

    def keys_of_namespace(self, namespace: str) -> Iterable[Key]:
        """The MicroApps that claim ``namespace`` as their own; more than one only when names collide."""
        return tuple(self._by_namespace.get(namespace, ()))

    def put_scan(self, key: Key, scan: Scan) -> bool:
        """Keep what was found of the MicroApp; True when it is news. Nothing is kept of one that is gone."""
        if key not in self._apps or self._scans.get(key) == scan:
            return False
        self._scans[key] = scan
        return True

    def scan(self, key: Key) -> Scan | None:
        """What the last scan found, None while there was none."""
        return self._scans.get(key)

    def put_forwarding(self, key: Key, view: ForwardingView) -> None:
        """Keep what is known of how the MicroApp's records fare; nothing is kept of one that is gone."""
        if key in self._apps:
            self._forwarding[key] = view

    def forwarding(self, key: Key) -> ForwardingView:
        """What is known of it, possibly nothing."""
        return self._forwarding.get(key, ForwardingView())

    def tier(self, name: str) -> RiskTier | None:
        """The RiskTier of that name, None for one that can't be read."""
        return self._tiers.get(name)

    def approvals(self, namespace: str) -> tuple[Approval, ...]:
        """The Approvals in ``namespace``."""
        return tuple(self._approvals.get(namespace, {}).values())

    def put_policy(self, kind: str, raw: Manifest) -> None:
        """Keep a RiskTier, Connector or Approval; one that can't be read counts as absent."""
        try:
            parsed = parse(POLICY_KINDS[kind], raw)
        except InvalidSpec as error:
            log.warning("policy_object_unreadable", kind=kind, name=raw["metadata"]["name"], why=str(error))
            self.drop_policy(kind, raw)
            return
        self._shelf(kind, parsed.metadata.namespace)[parsed.metadata.name] = parsed

    def drop_policy(self, kind: str, raw: Manifest) -> None:
        """Forget a RiskTier, Connector or Approval."""
        metadata = raw["metadata"]
        self._shelf(kind, metadata.get("namespace", "")).pop(metadata["name"], None)

    def _shelf(self, kind: str, namespace: str) -> dict[str, Any]:
        match kind:
            case "RiskTier":
                return self._tiers
            case "Connector":
                return self._connectors
            case _:
                return self._approvals[namespace]

    def keys_concerned(self, kind: str, raw: Manifest) -> list[Key]:
        """The MicroApps whose decision may change with this RiskTier, Connector or Approval."""
        name = raw["metadata"]["name"]
        match kind:
            case "RiskTier":
                return [k for k, a in self._apps.items() if a["spec"].get("riskTier") == name]
            case "Connector":
                return [
                    k
                    for k, a in self._apps.items()
                    if any(
                        e.get("connectorRef") == name
                        for e in (*a["spec"].get("egress", ()), *a["spec"].get("secrets", ()))
                    )
                ]
            case _:
                key = (raw["metadata"]["namespace"], raw["spec"]["microApp"])
                return [key] if key in self._apps else []

    def surroundings(self, namespace: str, capabilities: Capabilities) -> Surroundings:
        """What an app in ``namespace`` is judged against."""
        return Surroundings(
            tiers=self._tiers,
            connectors=self._connectors,
            approvals=self.approvals(namespace),
            capabilities=capabilities,
            reserved=self._reserved,
            settings=self.settings,
            policy_digest=self.policy_digest,
            images=self._images,
            isolation=self.isolation,
            vault=self.vault,
            gateway=self.gateway,
            entrypoints=self.entrypoints,
        )
