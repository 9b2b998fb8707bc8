"""The record of what was accepted: an app whose change waits goes on running this. Imports model and metadata only."""

from typing import Any, Final

from microapp_operator.desired.metadata import build_child
from microapp_operator.model import Manifest, MicroApp
from microapp_operator.model.canonical import digest

_PREFIX: Final = "accepted-"
_HASH_DIGITS: Final = 16


def build_accepted(app: MicroApp) -> Manifest:
    """The ControllerRevision of ``app``'s spec, named after its content: ``data`` can't be changed (apps/v1)."""
    data = {"spec": app.spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    return build_child(app, "ControllerRevision", name=_name(data), body={"data": data, "revision": 1})


def read_accepted(manifest: Manifest) -> dict[str, Any] | None:
    """The spec that ``manifest`` records, or None when its name doesn't belong to its content.

    Says that the record is whole, not who wrote it: compare the fingerprint with the approved one.
    """
    data = manifest.get("data")
    if not isinstance(data, dict) or set(data) != {"spec"} or not isinstance(data["spec"], dict):
        return None
    if manifest.get("metadata", {}).get("name") != _name(data):
        return None
    return dict(data["spec"])


def _name(data: Manifest) -> str:
    return f"{_PREFIX}{digest(data)[:_HASH_DIGITS]}"
