"""What the lab is made of: Go modules, packages and build flags."""

from dataclasses import dataclass
from pathlib import Path

GO = Path(__file__).parent / "go"
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


COMPONENTS = (
    Component("etcd", GO / "etcd", "go.etcd.io/etcd/server/v3", _STRIP),
    _kubernetes("kubectl"),
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Component("kwok", GO / "kwok", "sigs.k8s.io/kwok/cmd/kwok", _STRIP),
)

OPA = Component("opa", GO / "opa", "github.com/open-policy-agent/opa", _STRIP)
"""Compiles, tests and evaluates the policies; the cluster itself doesn't need it."""

VAULT = Component("vault", GO / "vault", "github.com/hashicorp/vault", _STRIP)
"""The secret store; started by who asks for it."""
