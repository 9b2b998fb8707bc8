"""Which rules look at which kind: rules are compiled into one entry point per group of kinds."""

from typing import Final

WORKLOADS: Final = (
    "Pod",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "PodTemplate",
)
"""A pod, and everything that carries a pod template."""

GROUPS: Final = (
    "Pod",
    "MicroApp",
    "Approval",
    "RiskTier",
    "Connector",
    "Tenant",
    "NetworkPolicy",
    "RoleBinding",
    "Service",
    "ServiceAccount",
    "Namespace",
    "Exec",
    "Other",
)
"""Other: scale, status and other subresources, deletions, and kinds only the guards look at."""

KIND_GROUPS: Final[dict[str, str]] = {
    **dict.fromkeys(WORKLOADS, "Pod"),
    **{kind: kind for kind in GROUPS if kind not in ("Pod", "Exec", "Other")},
    "PodExecOptions": "Exec",
    "PodAttachOptions": "Exec",
    "PodPortForwardOptions": "Exec",
    "Scale": "Other",
}
WHOLLY_OTHER: Final = ("status", "scale")
"""Subresources that carry no specification to judge."""


def group_of(kind: str, subresource: str, operation: str) -> str:
    """The group whose rules judge a request about ``kind``; Other for one nobody has rules of its own for."""
    if operation == "DELETE" or subresource in WHOLLY_OTHER:
        return "Other"
    return KIND_GROUPS.get(kind, "Other")
