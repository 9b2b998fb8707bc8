"""How the records of apps reach the platform's gateway: the sidecar's configuration, their form, what may get out."""

from microapp_operator.desired.forwarding.redaction import build_redaction
from microapp_operator.desired.forwarding.sidecar import build_sidecar_config

__all__ = ["build_redaction", "build_sidecar_config"]
