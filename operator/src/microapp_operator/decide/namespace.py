"""What is said when the namespace an app would get is somebody else's."""

from microapp_operator.model import MicroApp
from microapp_operator.reasons import Finding, Reason


def build_not_ours(app: MicroApp, namespace: str) -> Finding:
    """The finding about ``namespace``, which is there and isn't that of ``app``; nothing is adopted."""
    meta = app.metadata
    uid = f" (UID {meta.uid})" if meta.uid else ""
    message = (
        f"namespace {namespace} exists and does not belong to MicroApp {meta.namespace}/{meta.name}{uid}; "
        "it is left untouched."
    )
    return Finding(Reason.NAMESPACE_NOT_OURS, "metadata.name", message)
