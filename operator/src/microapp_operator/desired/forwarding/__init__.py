"""How the records of apps reach the platform's gateway: the sidecar, the form of records, what may get out."""

from microapp_operator.desired.forwarding.pods import build_forwarder_config, forward
from microapp_operator.desired.forwarding.redaction import build_redaction
from microapp_operator.desired.forwarding.sidecar import build_sidecar_config

__all__ = ["build_forwarder_config", "build_redaction", "build_sidecar_config", "forward"]
