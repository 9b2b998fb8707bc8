"""Starts etcd, the API server, the controller manager and the scheduler, and the stand-in for a node."""

import hashlib
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack.lab.build import LabError, binary, cache_dir, ensure_built, locked, say
from hack.lab.certs import Pki, make_pki
from hack.lab.components import COMPONENTS
from hack.lab.processes import recorded, start, stop_all, wait_until

CONTEXT = "lab-microapp"
SERVICE_RANGE = "10.96.0.0/16"
NODE = Path(__file__).parent / "hollow-node.yaml"
STAGES = Path(__file__).parent / "stages.yaml"
AUDIT = Path(__file__).parent / "audit.yaml"
_MARK = "microapp-lab"
_BINARIES = {c.name: c for c in COMPONENTS}


@dataclass(frozen=True)
class Lab:
    """One lab: everything of it is below ``folder``. audit: also record who asked what (audit.k8s.io/v1)."""

    folder: Path
    audit: bool = False

    @property
    def audit_log(self) -> Path:
        """One JSON event a line, of what ``audit.yaml`` says."""
        return self.folder / "logs" / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig, with the one context ``lab-microapp``."""
        return self.folder / "kubeconfig"

    def running(self) -> bool:
        """True when every daemon that belongs to it is alive."""
        daemons = recorded(self.folder)
        return self.kubeconfig.exists() and bool(daemons) and all(d.alive() for d in daemons)

    def up(self) -> None:
        """Build what is missing, start what isn't running; returns when pods can become Ready."""
        ensure_built(*COMPONENTS)
        with self._alone():
            if self.running():
                say(f"is up already; kubeconfig {self.kubeconfig}")
                return
            self._remove()
            self.folder.mkdir(parents=True)
            (self.folder / _MARK).touch()
            try:
                self._start(make_pki(self.folder / "pki"))
            except BaseException:
                stop_all(self.folder)
                raise
        say(f"is up; kubeconfig {self.kubeconfig}, context {CONTEXT}, kubectl {self.folder / 'bin' / 'kubectl'}")
        say("its node is simulated (KWOK): pods report Ready but run no process")

    def down(self) -> None:
        """End every process of the lab and remove its folder."""
        with self._alone():
            say("is down, nothing is left" if self._remove() else "was not up")

    def _alone(self) -> AbstractContextManager[None]:
        """One process at a time starts or stops a lab; the lock is outside the folder, which comes and goes."""
        key = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return locked(cache_dir() / "locks" / key, f"another up or down of {self.folder}")

    def _remove(self) -> bool:
        """Stop and delete what is there, if anything is; LabError when the folder is something else than a lab."""
        if not self.folder.exists():
            return False
        ours = any((self.folder / name).exists() for name in (_MARK, "daemons.json"))
        if not ours and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise LabError(f"{self.folder} exists and is not a lab: it is left alone. Name another folder in LAB_DIR.")
        stop_all(self.folder)
        shutil.rmtree(self.folder)
        return True

    def _start(self, pki: Pki) -> None:
        bin_ = self.folder / "bin"
        bin_.mkdir()
        for component in COMPONENTS:
            (bin_ / component.name).symlink_to(binary(component))
        client, peer, api, manager, scheduler, kwok = free_ports(6)
        start("etcd", _etcd(self.folder, client, peer), self.folder)
        audit = _audit(self.audit_log) if self.audit else []
        start("kube-apiserver", [*_apiserver(pki, client, api), *audit], self.folder)
        server = f"https://127.0.0.1:{api}"
        wait_until("kube-apiserver", lambda: _ready(server, pki), self.folder)
        for name in ("controller-manager", "scheduler", "kwok"):
            _kubeconfig(self.folder / f"{name}.kubeconfig", server, pki, name)
        start("kube-controller-manager", _manager(self.folder, pki, manager), self.folder)
        start("kube-scheduler", _scheduler(self.folder, scheduler), self.folder)
        start("kwok", _kwok(self.folder, kwok), self.folder)
        partial = self.folder / "kubeconfig.partial"
        _kubeconfig(partial, server, pki, "admin")
        self._add_node(partial)
        partial.rename(self.kubeconfig)

    def _add_node(self, kubeconfig: Path) -> None:
        kubectl = [str(self.folder / "bin" / "kubectl"), "--kubeconfig", str(kubeconfig)]
        for what in (
            ("apply", "-f", str(NODE)),
            ("wait", "--timeout=60s", "--for=condition=Ready", "node/hollow-0"),
            ("wait", "--timeout=60s", "--for=create", "serviceaccount/default"),
        ):
            done = subprocess.run([*kubectl, *what], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise LabError(f"kubectl {' '.join(what)} failed: {done.stderr.strip()}; see {self.folder / 'logs'}")


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


def _exe(name: str) -> str:
    return str(binary(_BINARIES[name]))


def _etcd(folder: Path, client: int, peer: int) -> list[str]:
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        _exe("etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(pki: Pki, etcd: int, port: int) -> list[str]:
    return [
        _exe("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
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
    ]


def _audit(log: Path) -> list[str]:
    log.parent.mkdir(exist_ok=True)
    return [f"--audit-policy-file={AUDIT}", f"--audit-log-path={log}", "--audit-log-mode=blocking-strict"]


def _manager(folder: Path, pki: Pki, port: int) -> list[str]:
    return [
        _exe("kube-controller-manager"),
        f"--kubeconfig={folder / 'controller-manager.kubeconfig'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
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


def _scheduler(folder: Path, port: int) -> list[str]:
    return [
        _exe("kube-scheduler"),
        f"--kubeconfig={folder / 'scheduler.kubeconfig'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def _kwok(folder: Path, port: int) -> list[str]:
    return [
        _exe("kwok"),
        f"--kubeconfig={folder / 'kwok.kubeconfig'}",
        f"--config={STAGES}",
        "--manage-nodes-with-label-selector=type=kwok",
        f"--server-address=127.0.0.1:{port}",
        "--node-lease-duration-seconds=40",
    ]


def _ready(server: str, pki: Pki) -> bool:
    context = ssl.create_default_context(cafile=str(pki.path("ca.crt")))
    context.load_cert_chain(pki.path("admin.crt"), pki.path("admin.key"))
    try:
        with urllib.request.urlopen(f"{server}/readyz", context=context, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _kubeconfig(path: Path, server: str, pki: Pki, user: str) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [
            {"name": CONTEXT, "cluster": {"server": server, "certificate-authority": str(pki.path("ca.crt"))}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate": str(pki.path(f"{user}.crt")),
                    "client-key": str(pki.path(f"{user}.key")),
                },
            }
        ],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))
