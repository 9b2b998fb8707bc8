"""The app's own ServiceAccount. Imports model and metadata only."""

from microapp_operator.desired.metadata import build_child
from microapp_operator.model import Manifest, MicroApp


def build_account(app: MicroApp) -> Manifest:
    """The ServiceAccount named after ``app``; no pod gets a token of it unless it asks for one by volume."""
    body = {"automountServiceAccountToken": False}
    return build_child(app, "ServiceAccount", name=app.metadata.name, body=body)
