"""kopf's side: it feeds MicroApps, we reconcile. Handlers parse nothing and decide nothing.

``on.event`` only: no kopf finalizer, no annotation, no handler state, so kopf writes nothing at all.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import kopf

from microapp_operator.constants import GROUP, VERSION
from microapp_operator.reconcile.engine import Engine


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf deep-copies every body to compute differences nobody here asks for; this keeps none."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:  # noqa: ARG002 - kopf's signature
        """An empty essence: equal to every other."""
        return {}

    def fetch(self, *, body: Any) -> Any:  # noqa: ARG002 - kopf's signature
        """The last essence: always the same."""
        return {}

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing is stored."""


class NoProgress(kopf.ProgressStorage):
    """No handler has progress to keep: retries are our queue's."""

    def fetch(self, *, key: Any, body: Any) -> Any:  # noqa: ARG002 - kopf's signature
        """No record."""
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        """Nothing is stored."""

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        """Nothing was stored."""

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        """Nothing is touched."""

    def clear(self, *, essence: Any) -> Any:
        """Nothing to take out."""
        return essence


def build_settings() -> kopf.OperatorSettings:
    """kopf as a feed: paged lists, time-outs on every stream, nothing posted, nothing stored."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.consistency_timeout = 0
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.chunk_size = 500
    settings.watching.inactivity_timeout = 70
    settings.watching.client_timeout = 600
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.enforce_retry_after = True
    settings.queueing.idle_timeout = 1
    return settings


def build_registry(engine: Engine, server: str) -> kopf.OperatorRegistry:
    """The registry whose one event handler hands every MicroApp to ``engine``.

    server: URL of the API server as our own client has it. kopf's own way from a pod is a name of the cluster's, and so
    would need its DNS, which nothing else here does.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, "microapps", registry=registry)
    async def changed(event: Mapping[str, Any], **_: Any) -> None:
        kind = event["type"]
        engine.on_app(dict(event["object"]), deleted=kind == "DELETED", initial=kind is None)

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        account = kopf.login_with_service_account(**kwargs)
        return replace(account, server=server) if account else kopf.login_with_kubeconfig(**kwargs)

    return registry
