"""Every condition type and reason the product utters, each reason with its remedy.

The one table that conditions, Events, the CLI and (later) denials read: a reason without a remedy
can't exist. Imports nothing of ours.
"""

from dataclasses import dataclass
from enum import StrEnum


class ConditionType(StrEnum):
    """Types of ``status.conditions``; the order is the order in which they are shown."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    NAMESPACE_READY = "NamespaceReady"
    QUOTA_HEALTHY = "QuotaHealthy"
    NETWORK_ISOLATED = "NetworkIsolated"
    ISOLATION_ENFORCED = "IsolationEnforced"
    APPROVED = "Approved"
    POLICY_COMPLIANT = "PolicyCompliant"
    SECRETS_READY = "SecretsReady"
    ROTATION_CURRENT = "RotationCurrent"
    VAULT_REACHABLE = "VaultReachable"
    LOG_FORWARDING = "LogForwarding"
    RUNTIME_AVAILABLE = "RuntimeAvailable"
    WORKLOAD_AVAILABLE = "WorkloadAvailable"


class Reason(StrEnum):
    """Reasons of conditions and Events (CamelCase, Kubernetes API conventions)."""

    # all is well
    RECONCILED = "Reconciled"
    SUSPENDED = "Suspended"
    BOUND = "Bound"
    WITHIN_QUOTA = "WithinQuota"
    DENY_BY_DEFAULT = "DenyByDefault"
    AUTO_APPROVED = "AutoApproved"
    APPROVED = "Approved"
    NOT_REQUIRED = "NotRequired"
    PROFILE_SUPPORTED = "ProfileSupported"
    WASM_RUNTIME_CLASS = "WasmRuntimeClass"
    WASM_IN_CONTAINER = "WasmInContainer"
    PROBE_PASSED = "ProbePassed"
    AVAILABLE = "Available"
    SCALED_TO_ZERO = "ScaledToZero"
    SECRETS_DELIVERED = "SecretsDelivered"
    ROTATED = "Rotated"
    ROTATION_DUE = "RotationDue"
    REACHABLE = "Reachable"
    POLICIES_MET = "PoliciesMet"
    FORWARDING = "Forwarding"
    NOTHING_TO_FORWARD = "NothingToForward"
    # work in progress
    PROGRESSING = "Progressing"
    RETRYING = "Retrying"
    TERMINATING = "Terminating"
    WORKLOAD_PROGRESSING = "WorkloadProgressing"
    NAMESPACE_PENDING = "NamespacePending"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    HELD = "Held"
    CLEANUP_PENDING = "CleanupPending"
    # waiting for a person
    APPROVAL_PENDING = "ApprovalPending"
    EGRESS_APPROVAL_PENDING = "EgressApprovalPending"
    SECRET_APPROVAL_PENDING = "SecretApprovalPending"  # noqa: S105 - a reason, not a secret
    APPROVAL_DENIED = "ApprovalDenied"
    # nothing will change without a person
    INVALID_SPEC = "InvalidSpec"
    RISK_TIER_NOT_FOUND = "RiskTierNotFound"
    CONNECTOR_NOT_FOUND = "ConnectorNotFound"
    EXCEEDS_TIER = "ExceedsTier"
    CLASSIFICATION_NOT_ALLOWED = "ClassificationNotAllowed"
    EGRESS_NOT_ALLOWED = "EgressNotAllowed"
    RESERVED_ADDRESS = "ReservedAddress"
    IMAGE_NOT_PINNED = "ImageNotPinned"
    SECRET_PATH_NOT_ALLOWED = "SecretPathNotAllowed"  # noqa: S105 - a reason, not a secret
    SECRET_NOT_DELIVERABLE = "SecretNotDeliverable"  # noqa: S105 - a reason, not a secret
    LONG_LIVED_TOKEN = "LongLivedToken"  # noqa: S105 - a reason, not a secret
    ROTATION_OVERDUE = "RotationOverdue"
    NAMESPACE_NOT_OURS = "NamespaceNotOurs"
    REJECTED_BY_API = "RejectedByAPI"
    # faults
    FOREIGN_ROLE_BINDING = "ForeignRoleBinding"
    FOREIGN_NETWORK_POLICY = "ForeignNetworkPolicy"
    QUOTA_EXCEEDED = "QuotaExceeded"
    RUNTIME_CLASS_NOT_FOUND = "RuntimeClassNotFound"
    WASM_MEMORY_TOO_SMALL = "WasmMemoryTooSmall"
    KNATIVE_NOT_SERVED = "KnativeNotServed"
    WORKLOAD_UNAVAILABLE = "WorkloadUnavailable"
    SECRET_STORE_NOT_CONFIGURED = "SecretStoreNotConfigured"  # noqa: S105 - a reason, not a secret
    POLICY_VIOLATIONS = "PolicyViolations"
    POLICY_WARNINGS = "PolicyWarnings"
    LEAK_DETECTED = "LeakDetected"
    SECRET_ENGINE_NOT_FOUND = "SecretEngineNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_STORE_UNREACHABLE = "SecretStoreUnreachable"  # noqa: S105 - a reason, not a secret
    SECRET_STORE_SEALED = "SecretStoreSealed"  # noqa: S105 - a reason, not a secret
    SECRET_STORE_DENIED = "SecretStoreDenied"  # noqa: S105 - a reason, not a secret
    SECRET_STORE_BUSY = "SecretStoreBusy"  # noqa: S105 - a reason, not a secret
    ENTRYPOINT_UNKNOWN = "EntrypointUnknown"
    LOG_SOURCE_NOT_SUPPORTED = "LogSourceNotSupported"
    RECORDS_DROPPED = "RecordsDropped"
    RECORDS_WAITING = "RecordsWaiting"
    FORWARDER_SILENT = "ForwarderSilent"
    SINK_FAILING = "SinkFailing"
    CANARY_NOT_READ_BACK = "CanaryNotReadBack"
    # not proven here
    NO_PROBE = "NoProbe"
    PROBE_INCONCLUSIVE = "ProbeInconclusive"
    FORWARDER_NOT_INSTALLED = "ForwarderNotInstalled"
    LOG_GATEWAY_UNREACHABLE = "LogGatewayUnreachable"
    NOT_SCANNED = "NotScanned"
    NOT_JUDGED = "NotJudged"
    # per egress endpoint
    ENFORCED = "Enforced"
    HOST_NAMES_NOT_ENFORCED = "HostNamesNotEnforced"
    # Events only
    DRIFT_REPAIRED = "DriftRepaired"
    CHILD_DELETED = "ChildDeleted"
    APPROVAL_VOIDED = "ApprovalVoided"
    SECRET_ROTATED = "SecretRotated"  # noqa: S105 - a reason, not a secret
    CLEANUP_SKIPPED = "CleanupSkipped"
    NAMESPACE_CREATED = "NamespaceCreated"
    DELETED = "Deleted"

    @property
    def remedy(self) -> str:
        """What a person can do about it; empty when there is nothing to do."""
        return REMEDIES[self]


REMEDIES: dict[Reason, str] = {
    Reason.RECONCILED: "",
    Reason.SUSPENDED: "Set spec.suspend to false to run the app again.",
    Reason.BOUND: "",
    Reason.WITHIN_QUOTA: "",
    Reason.DENY_BY_DEFAULT: "",
    Reason.AUTO_APPROVED: "",
    Reason.APPROVED: "",
    Reason.NOT_REQUIRED: "",
    Reason.PROFILE_SUPPORTED: "",
    Reason.WASM_RUNTIME_CLASS: "",
    Reason.WASM_IN_CONTAINER: (
        "To have the node's runtime isolate it, have an admin install one of the RuntimeClasses the RiskTier names."
    ),
    Reason.PROBE_PASSED: "",
    Reason.AVAILABLE: "",
    Reason.SCALED_TO_ZERO: "Raise spec.runtime.replicas to run the app.",
    Reason.SECRETS_DELIVERED: "",
    Reason.ROTATED: "",
    Reason.ROTATION_DUE: "Write a new value before the date named in the message, or have the engine rotate it.",
    Reason.REACHABLE: "",
    Reason.POLICIES_MET: "",
    Reason.FORWARDING: "",
    Reason.NOTHING_TO_FORWARD: "",
    Reason.PROGRESSING: "Wait; the operator is applying the change.",
    Reason.RETRYING: "Wait; the operator retries by itself. If it lasts, look at the API server.",
    Reason.TERMINATING: "Wait; the app's namespace is being removed. If it lasts, look for finalizers in it.",
    Reason.WORKLOAD_PROGRESSING: "Wait for the pods; see `kubectl get pods` in the app's namespace.",
    Reason.NAMESPACE_PENDING: "Wait; the namespace is about to be created.",
    Reason.NAMESPACE_TERMINATING: "Wait until the old namespace is gone; look for finalizers in it if it lasts.",
    Reason.HELD: "Resolve what Approved or Stalled names; until then the last accepted revision runs.",
    Reason.CLEANUP_PENDING: (
        "Bring Vault back; nothing else is needed. To delete the app all the same and leave role, policy and leases "
        "behind, an admin (verb skipcleanup) sets annotation microapps.dev/skip-secret-cleanup to the reason why."
    ),
    Reason.APPROVAL_PENDING: (
        "Ask reviewers to create an Approval with scope release, this fingerprint, and policyDigest and "
        "tierGeneration as in status."
    ),
    Reason.EGRESS_APPROVAL_PENDING: (
        "Ask a reviewer to create an Approval with scope egress for each endpoint named in the message."
    ),
    Reason.SECRET_APPROVAL_PENDING: (
        "Ask a reviewer to create an Approval with scope secret for each secret named in the message."
    ),
    Reason.APPROVAL_DENIED: (
        "Change what was objected to, or ask the reviewer named in the message to delete their denial."
    ),
    Reason.INVALID_SPEC: "Correct the field named in the message and apply the MicroApp again.",
    Reason.RISK_TIER_NOT_FOUND: ("Set spec.riskTier to the name of an existing RiskTier (`kubectl get risktiers`)."),
    Reason.CONNECTOR_NOT_FOUND: "Refer to an existing Connector (`kubectl get connectors`), or ask an admin.",
    Reason.EXCEEDS_TIER: "Lower the field named in the message, or move the app to a higher risk tier.",
    Reason.CLASSIFICATION_NOT_ALLOWED: (
        "Use a data classification the tier allows, or move the app to a higher risk tier."
    ),
    Reason.EGRESS_NOT_ALLOWED: "Use a Connector the tier allows, or move the app to a tier that permits it.",
    Reason.RESERVED_ADDRESS: (
        "Remove the range; cluster and metadata addresses are never reachable. For another app use egress.microApp."
    ),
    Reason.IMAGE_NOT_PINNED: "Write the image as name@sha256:<digest>.",
    Reason.SECRET_PATH_NOT_ALLOWED: (
        "Name a path of the app's own: <app>/<rest> with engine kv, <mount>/creds/<role> or "
        "<mount>/static-creds/<role> with engine database."
    ),
    Reason.SECRET_NOT_DELIVERABLE: "Change the field named in the message, or read the secret from its file.",
    Reason.LONG_LIVED_TOKEN: (
        "Name a Connector in connectorRef, whose credential the platform owns, or say use: Own when no third party "
        "ever sees this secret."
    ),
    Reason.ROTATION_OVERDUE: "Rotate the secret named in the message: write a new value, or have the engine do it.",
    Reason.NAMESPACE_NOT_OURS: (
        "Rename the MicroApp, or have an admin remove or rename the namespace; it is never adopted."
    ),
    Reason.REJECTED_BY_API: "Correct what the API server's message names, then apply the MicroApp again.",
    Reason.FOREIGN_ROLE_BINDING: "Have an admin delete the RoleBinding; only the operator grants access here.",
    Reason.FOREIGN_NETWORK_POLICY: (
        "Have an admin delete the NetworkPolicy; declare the traffic in spec.ingress or spec.egress instead."
    ),
    Reason.QUOTA_EXCEEDED: "Lower spec.runtime.resources or replicas, or move the app to a higher risk tier.",
    Reason.RUNTIME_CLASS_NOT_FOUND: (
        "Have an admin install one of the RuntimeClasses the RiskTier names, or use profile container."
    ),
    Reason.WASM_MEMORY_TOO_SMALL: "Raise spec.runtime.resources.memory.",
    Reason.KNATIVE_NOT_SERVED: "Have an admin install Knative Serving, or use profile container.",
    Reason.WORKLOAD_UNAVAILABLE: "Look at the pods and their logs in the app's namespace.",
    Reason.SECRET_STORE_NOT_CONFIGURED: ("Have an admin connect the operator to Vault, or remove spec.secrets."),
    Reason.POLICY_VIOLATIONS: (
        "Do what each Fix says; every object and rule is in the metric microapp_policy_violations, and in Reports "
        "(`kubectl get reports.openreports.io -A`) where they are served."
    ),
    Reason.POLICY_WARNINGS: (
        "Do what each Fix says before the app goes to production; the metric microapp_policy_violations has every "
        "object and rule."
    ),
    Reason.LEAK_DETECTED: (
        "Have an admin look at the network plugin of the nodes named, and drain those that don't enforce policies."
    ),
    Reason.PROBE_INCONCLUSIVE: "Have an admin look at the pods in the probe's namespace and at their Events.",
    Reason.SECRET_ENGINE_NOT_FOUND: "Have an admin enable the secrets engine in Vault, or correct the path.",
    Reason.SECRET_NOT_FOUND: "Write the secret in Vault at the path named in the message, or correct the path.",
    Reason.SECRET_STORE_UNREACHABLE: (
        "Bring Vault back; running pods keep what they have, and the operator notices by itself."
    ),
    Reason.SECRET_STORE_SEALED: "Unseal Vault; running pods keep what they have, and the operator notices by itself.",
    Reason.SECRET_STORE_DENIED: "Have an admin check the operator's role and policy in Vault (docs/secrets.md).",
    Reason.SECRET_STORE_BUSY: "Wait; the operator retries by itself. If it lasts, look at Vault's quotas.",
    Reason.NO_PROBE: "Install the isolation probe to prove that the network plugin enforces the policies.",
    Reason.ENTRYPOINT_UNKNOWN: (
        "Set spec.runtime.command to what the image runs, or have an admin let the operator read the image "
        "(docs/logging.md); it asks again by itself."
    ),
    Reason.LOG_SOURCE_NOT_SUPPORTED: "Change the field named in the message.",
    Reason.RECORDS_DROPPED: "Write less, or find out why records were not taken: `kubectl logs` of log-forwarder.",
    Reason.RECORDS_WAITING: "Wait; a pod keeps 32 MiB of records. If it lasts, have an admin look at the log gateway.",
    Reason.FORWARDER_SILENT: "Look at container log-forwarder in the app's pods, and at the launcher's complaints.",
    Reason.SINK_FAILING: "Have an admin look at the log gateway, which keeps records until its volume is full.",
    Reason.CANARY_NOT_READ_BACK: "Have an admin look at what that sink keeps: what leaves for it isn't found there.",
    Reason.FORWARDER_NOT_INSTALLED: "Install the log gateway to forward the app's records.",
    Reason.LOG_GATEWAY_UNREACHABLE: "Have an admin look at the log gateway; pods keep their records meanwhile.",
    Reason.NOT_SCANNED: "Wait for the first scan of what is there.",
    Reason.NOT_JUDGED: "Have an admin look for scan_not_judged in the operator's log.",
    Reason.ENFORCED: "",
    Reason.HOST_NAMES_NOT_ENFORCED: (
        "Install the egress gateway, or declare a cidr; host names are never frozen into addresses."
    ),
    Reason.DRIFT_REPAIRED: "Change the MicroApp instead; the operator owns its children.",
    Reason.CHILD_DELETED: "Change the MicroApp instead; the operator owns its children.",
    Reason.APPROVAL_VOIDED: "Ask for a new Approval; until then the last accepted revision runs.",
    Reason.SECRET_ROTATED: "",
    Reason.CLEANUP_SKIPPED: "Have an admin remove role, policy and leases of the app from Vault (docs/secrets.md).",
    Reason.NAMESPACE_CREATED: "",
    Reason.DELETED: "",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that keeps an app from its desired state.

    reason: why, as the table above has it.
    path: JSON path of the field at fault (``spec.runtime.replicas``); empty when no field is.
    message: what is wrong, with value and limit, one sentence without the remedy.
    """

    reason: Reason
    path: str
    message: str

    def parts(self) -> tuple[str, ...]:
        """Path with message, and the remedy if there is one."""
        head = f"{self.path}: {self.message}" if self.path else self.message
        return (head, self.reason.remedy) if self.reason.remedy else (head,)

    def text(self) -> str:
        """All of that, as conditions and Events show it."""
        return " ".join(self.parts()).rstrip()
