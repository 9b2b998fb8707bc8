"""How the records of apps reach the platform's gateway: the sidecar's configuration, and the form it gives them."""

from microapp_operator.desired.forwarding.sidecar import build_sidecar_config

__all__ = ["build_sidecar_config"]
