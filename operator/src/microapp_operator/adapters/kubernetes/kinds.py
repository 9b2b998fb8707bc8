"""The kinds the operator touches, and where the API server keeps them. One table, no discovery per write."""

from dataclasses import dataclass

from microapp_operator.constants import API_VERSION, LABEL_MANAGED_BY, MANAGED_BY
from microapp_operator.ports import ObjectRef

OURS = f"{LABEL_MANAGED_BY}={MANAGED_BY}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its group/version, plural, scope; selector and full say how its children are watched.

    full: watched as whole objects, for their status; all others as metadata only.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    selector: str = OURS
    full: bool = False

    @property
    def prefix(self) -> str:
        """URL prefix of the API: the core group lives under /api."""
        return f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"

    def collection(self, namespace: str = "") -> str:
        """URL path of all objects, or of those in ``namespace``."""
        return f"{self.prefix}/namespaces/{namespace}/{self.plural}" if namespace else f"{self.prefix}/{self.plural}"

    def path(self, ref: ObjectRef) -> str:
        """URL path of one object."""
        return f"{self.collection(ref.namespace)}/{ref.name}"


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False, selector="")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments", full=True)
KNATIVE_SERVICE = Kind("serving.knative.dev/v1", "Service", "services", full=True)
RUNTIME_CLASS = Kind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", namespaced=False, selector="")
CORE_EVENT = Kind("v1", "Event", "events", selector="", full=True)
"""As read; they are written by the other API, whose fields have other names."""
MICRO_APP = Kind(API_VERSION, "MicroApp", "microapps", selector="")
POLICIES = (
    Kind(API_VERSION, "RiskTier", "risktiers", namespaced=False, selector="", full=True),
    Kind(API_VERSION, "Connector", "connectors", namespaced=False, selector="", full=True),
    Kind(API_VERSION, "Approval", "approvals", selector="", full=True),
    Kind(API_VERSION, "Tenant", "tenants", namespaced=False, selector="", full=True),
)
CHILDREN = (
    NAMESPACE,
    Kind("v1", "ResourceQuota", "resourcequotas"),
    Kind("v1", "LimitRange", "limitranges"),
    # Unfiltered: a foreign one in a governed namespace adds rights, so it must be seen.
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", selector=""),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", selector=""),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("v1", "ConfigMap", "configmaps"),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("apps/v1", "ControllerRevision", "controllerrevisions"),
    DEPLOYMENT,
    Kind("v1", "Service", "services"),
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
)
OPTIONAL = (
    Kind("secrets.hashicorp.com/v1beta1", "VaultAuth", "vaultauths"),
    Kind("secrets.hashicorp.com/v1beta1", "VaultStaticSecret", "vaultstaticsecrets"),
    Kind("secrets.hashicorp.com/v1beta1", "VaultDynamicSecret", "vaultdynamicsecrets"),
    Kind("external-secrets.io/v1", "SecretStore", "secretstores"),
    Kind("external-secrets.io/v1", "ExternalSecret", "externalsecrets"),
)
"""Children of tiers whose secrets other operators deliver; watched where they are served."""
JUDGED = tuple(
    Kind(version, kind, plural, selector="")
    for version, kind, plural in (
        ("v1", "Pod", "pods"),
        ("v1", "PodTemplate", "podtemplates"),
        ("v1", "ReplicationController", "replicationcontrollers"),
        ("apps/v1", "Deployment", "deployments"),
        ("apps/v1", "ReplicaSet", "replicasets"),
        ("apps/v1", "StatefulSet", "statefulsets"),
        ("apps/v1", "DaemonSet", "daemonsets"),
        ("batch/v1", "Job", "jobs"),
        ("batch/v1", "CronJob", "cronjobs"),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
        ("v1", "Service", "services"),
        ("v1", "ServiceAccount", "serviceaccounts"),
    )
)
"""Everything in an app's namespace that rules judge as it stands (policy.groups)."""
REPORT = Kind("openreports.io/v1alpha1", "Report", "reports")
EVENT = Kind("events.k8s.io/v1", "Event", "events", selector="")
POD = Kind("v1", "Pod", "pods", selector="")
NODE = Kind("v1", "Node", "nodes", namespaced=False, selector="")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps", selector="")

_TABLE = {
    (k.api_version, k.kind): k
    for k in (*CHILDREN, *OPTIONAL, *POLICIES, KNATIVE_SERVICE, MICRO_APP, EVENT, POD, REPORT)
}


def kind_of(ref: ObjectRef) -> Kind:
    """The table's entry for ``ref``; KeyError for a kind the operator never writes."""
    return _TABLE[ref.api_version, ref.kind]
