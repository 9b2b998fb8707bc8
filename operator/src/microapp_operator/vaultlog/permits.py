"""What permits each app to use each of its secrets, as the status of the MicroApps says. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Manifest = Mapping[str, Any]


class Permits:
    """A table that is replaced as MicroApps change; reads and writes may come from different threads."""

    def __init__(self) -> None:
        self._table: dict[str, dict[str, str]] = {}

    def justify(self, principal: str, secret_id: str) -> str | None:
        """The approval or tier that permits ``principal`` to use ``secret_id``; None when nothing does."""
        return self._table.get(principal, {}).get(secret_id)

    def reset(self, apps: Iterable[Manifest]) -> None:
        """These MicroApps are all there are."""
        self._table = dict(map(_row, apps))

    def put(self, app: Manifest) -> None:
        """A MicroApp is new or has changed."""
        principal, secrets = _row(app)
        self._table[principal] = secrets

    def drop(self, app: Manifest) -> None:
        """A MicroApp is gone."""
        self._table.pop(_row(app)[0], None)


def _row(app: Manifest) -> tuple[str, dict[str, str]]:
    status = app.get("status") or {}
    namespace = (status.get("namespace") or {}).get("name", "")
    principal = f"system:serviceaccount:{namespace}:{app['metadata']['name']}"
    secrets = (status.get("secretStore") or {}).get("secrets", ())
    owner = app["metadata"]["namespace"]
    return principal, {s["secretId"]: f"{owner}/{s['justification']}" for s in secrets if s.get("justification")}
