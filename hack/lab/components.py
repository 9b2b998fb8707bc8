"""What the lab is made of: Go modules, packages and build flags."""

from dataclasses import dataclass
from pathlib import Path

GO = Path(__file__).parent / "go"
_PRODUCT = Path(__file__).parents[2]
KUBERNETES = "1.36.3"
_VERSION = "k8s.io/component-base/version"
_STRIP = "-s -w"
_KUBERNETES_FLAGS = (
    f"{_STRIP} -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=36"
)


@dataclass(frozen=True)
class Component:
    """One binary: its name, the module folder it is built in, its package and its linker flags."""

    name: str
    module: Path
    package: str
    ldflags: str


def _kubernetes(name: str) -> Component:
    return Component(name, GO / "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_FLAGS)


def _containerd(name: str) -> Component:
    return Component(name, GO / "containerd", f"github.com/containerd/containerd/v2/cmd/{name}", _STRIP)


def _cni(kind: str, name: str) -> Component:
    return Component(name, GO / "cni", f"github.com/containernetworking/plugins/plugins/{kind}/{name}", _STRIP)


CONTROL_PLANE = (
    Component("etcd", GO / "etcd", "go.etcd.io/etcd/server/v3", _STRIP),
    _kubernetes("kubectl"),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
)

KWOK = Component("kwok", GO / "kwok", "sigs.k8s.io/kwok/cmd/kwok", _STRIP)
"""Stands in for a node where none is asked for."""

PAUSE = Component("pause", GO / "pause", ".", _STRIP)
COREDNS = Component("coredns", GO / "coredns", ".", _STRIP)
AGNHOST = Component("agnhost", GO / "kubernetes", "k8s.io/kubernetes/test/images/agnhost", _KUBERNETES_FLAGS)
"""The image Kubernetes' own tests use: serves, connects, resolves."""
AGNHOST_PUBLISHED = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"

NODE = (
    PAUSE,
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    AGNHOST,
    _cni("main", "loopback"),
    _cni("main", "ptp"),
    _cni("ipam", "host-local"),
    _cni("meta", "portmap"),
    _containerd("containerd"),
    _containerd("containerd-shim-runc-v2"),
    Component("registry", GO / "registry", "github.com/distribution/distribution/v3/cmd/registry", _STRIP),
    Component("kube-router", GO / "kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router", _STRIP),
    COREDNS,
)
"""What a real node needs besides the control plane."""

OPA = Component("opa", GO / "opa", "github.com/open-policy-agent/opa", _STRIP)
"""Compiles, tests and evaluates the policies; the cluster itself doesn't need it."""

TEST = Component("test", GO / "test", ".", _STRIP)
"""Of the image in which the lab's pods run the agent."""

VAULT = Component("vault", GO / "vault", "github.com/hashicorp/vault", _STRIP)
"""The secret store; started by who asks for it."""

LAUNCHER = Component("launcher", _PRODUCT / "launcher", ".", _STRIP)
"""Sets variables from secrets in the pods of apps; part of the product, in an image of its own."""

BUILDER = Component("builder", GO / "builder", "go.opentelemetry.io/collector/cmd/builder", _STRIP)
"""Writes collector/ from its manifests."""

FORWARDER = Component("forwarder", _PRODUCT / "collector" / "sidecar", ".", _STRIP)
"""The Collector that takes an app's records, in each of its pods; part of the product, in an image of its own."""

GATEWAY = Component("gateway", _PRODUCT / "collector" / "gateway", ".", _STRIP)
"""The Collector that all of them send to; part of the product, in an image of its own."""

VEGETA = Component("vegeta", GO / "vegeta", "github.com/tsenart/vegeta/v12", _STRIP)
"""Loads the API server and the webhook for `make bench-admission`."""

VICTORIA_LOGS = Component(
    "victoria-logs", GO / "victorialogs", "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs", _STRIP
)
"""A log store that takes what senders for Splunk, Elasticsearch and OTLP send, and tells what it has kept."""

HELM = Component("helm", GO / "helm", "helm.sh/helm/v4/cmd/helm", _STRIP)
"""Installs the chart in the tests as a user does."""
