"""What runs inside of pods to find out whether network policies are enforced: a gate, a check, and their target.

Standard library only, and little of that: it starts in front of each app's container. Imports nothing of ours.
"""

from typing import Final

OPEN_PORT: Final = 8080
"""Of a target: may be reached by the check, over TCP and UDP. Without it nothing is proven by silence."""
CLOSED_TO_CALLERS: Final = 8081
"""Of a target: it would answer, but the check's own egress policy doesn't lead there."""
CLOSED_BY_TARGET: Final = 8082
"""Of a target: the check's egress policy leads there, but the target's ingress policy lets nobody in."""

TARGETS_VARIABLE: Final = "PROBE_TARGETS"
DEADLINE_VARIABLE: Final = "PROBE_DEADLINE_SECONDS"
API_HOST_VARIABLE: Final = "KUBERNETES_SERVICE_HOST"
API_PORT_VARIABLE: Final = "KUBERNETES_SERVICE_PORT"
"""The kubelet puts both into every container, with or without service links (core/v1)."""
