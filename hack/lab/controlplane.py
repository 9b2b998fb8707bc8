"""Starts etcd, the API server, the controller manager and the scheduler, on loopback or inside a machine of the lab."""

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.lab.certs import Pki
from hack.lab.lab import write_kubeconfig
from hack.lab.processes import start, wait_until

SERVICE_RANGE = "10.96.0.0/16"
SERVICE_API = "10.96.0.1"
_AUDIT = Path(__file__).parent / "audit.yaml"


@dataclass(frozen=True)
class ControlPlane:
    """Where it listens and what it is told. ``ports``: etcd's two, API server, controller manager, scheduler.

    server: how its own parts and nodes reach the API server. enter: as in ``processes.start``. extra: more flags of
    the API server.
    """

    folder: Path
    pki: Pki
    ports: tuple[int, int, int, int, int]
    server: str
    enter: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def start_api(self, reach: str) -> None:
        """Start etcd and the API server; returns when it is ready at the address ``reach``."""
        self._start("etcd", self._etcd())
        self._start("kube-apiserver", self._apiserver())
        wait_until("kube-apiserver", lambda: _ready(reach, self.pki), self.folder)

    def start_controllers(self) -> None:
        """Start the controller manager and the scheduler."""
        for name in ("controller-manager", "scheduler"):
            write_kubeconfig(self.folder / f"{name}.kubeconfig", self.server, self.pki, name)
        self._start("kube-controller-manager", self._manager())
        self._start("kube-scheduler", self._scheduler())

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        start(name, [str(self.folder / "bin" / name), *arguments], self.folder, enter=self.enter)

    def _etcd(self) -> list[str]:
        url, peer_url = (f"http://127.0.0.1:{port}" for port in self.ports[:2])
        return [
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        pki = self.pki
        return [
            f"--etcd-servers=http://127.0.0.1:{self.ports[0]}",
            f"--secure-port={self.ports[2]}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--profiling=false",
            f"--client-ca-file={pki.path('ca.crt')}",
            f"--tls-cert-file={pki.path('apiserver.crt')}",
            f"--tls-private-key-file={pki.path('apiserver.key')}",
            f"--service-account-key-file={pki.path('sa.pub')}",
            f"--service-account-signing-key-file={pki.path('sa.key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            *self.extra,
        ]

    def _manager(self) -> list[str]:
        pki = self.pki
        return [
            f"--kubeconfig={self.folder / 'controller-manager.kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports[3]}",
            "--leader-elect=false",
            "--profiling=false",
            "--use-service-account-credentials=true",
            f"--root-ca-file={pki.path('ca.crt')}",
            f"--service-account-private-key-file={pki.path('sa.key')}",
            f"--cluster-signing-cert-file={pki.path('ca.crt')}",
            f"--cluster-signing-key-file={pki.path('ca.key')}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--concurrent-namespace-syncs=50",
            "--concurrent-deployment-syncs=20",
            "--concurrent-resource-quota-syncs=20",
        ]

    def _scheduler(self) -> list[str]:
        return [
            f"--kubeconfig={self.folder / 'scheduler.kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports[4]}",
            "--leader-elect=false",
            "--profiling=false",
        ]


def audit_flags(log: Path) -> tuple[str, ...]:
    """Flags by which the API server writes to ``log``, before it answers, what ``audit.yaml`` says."""
    log.parent.mkdir(exist_ok=True)
    return f"--audit-policy-file={_AUDIT}", f"--audit-log-path={log}", "--audit-log-mode=blocking-strict"


def free_ports(count: int) -> list[int]:
    """``count`` TCP ports on loopback that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _ready(server: str, pki: Pki) -> bool:
    context = ssl.create_default_context(cafile=str(pki.path("ca.crt")))
    context.load_cert_chain(pki.path("admin.crt"), pki.path("admin.key"))
    try:
        with urllib.request.urlopen(f"{server}/readyz", context=context, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
