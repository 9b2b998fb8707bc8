"""How the records of apps reach the platform's gateway, what it makes of them, and where it sends them.

Each Collector's whole configuration is built here; what has to be said in its own language is in form and record
(how a record looks), identity (whose it is) and redaction (what may get out). What pods are given for it is in pods.
"""

from microapp_operator.desired.forwarding.gateway import build_gateway_config
from microapp_operator.desired.forwarding.pods import build_forwarder_config, forward
from microapp_operator.desired.forwarding.sidecar import build_sidecar_config

__all__ = ["build_forwarder_config", "build_gateway_config", "build_sidecar_config", "forward"]
