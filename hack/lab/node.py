"""One node of the lab: what its programs are told, and how they are started and stopped.

containerd with Debian's runc, CNI's ptp (a bridge would let traffic of one node past the filter), the kubelet,
kube-proxy, and kube-router as the enforcer of NetworkPolicies.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack.lab.certs import Pki
from hack.lab.cgroups import make_group
from hack.lab.controlplane import SERVICE_RANGE
from hack.lab.lab import write_kubeconfig
from hack.lab.machine import Machine
from hack.lab.network import CLUSTER_RANGE, node_address, pod_range
from hack.lab.nodeconfig import RUNTIME_SOCKET, build_cni, build_containerd, build_kubelet
from hack.lab.processes import daemon_of, stop, wait_until

_ENFORCER_CHAINS = ("KUBE-ROUTER-", "KUBE-POD-FW-", "KUBE-NWPLCY-")


@dataclass(frozen=True)
class Node:
    """Node ``number``, counted from 1, of the lab in the folder ``lab``."""

    lab: Path
    number: int

    @property
    def name(self) -> str:
        """Its name in the cluster, and that of its machine."""
        return f"node-{self.number}"

    @property
    def machine(self) -> Machine:
        """Where it runs."""
        return Machine(self.name, self.lab)

    @property
    def address(self) -> str:
        """Its InternalIP."""
        return node_address(self.number)

    def manifest(self) -> dict[str, object]:
        """The Node before its kubelet speaks: with the range of its pods, and the address kube-router asks for."""
        ranges = {"podCIDR": pod_range(self.number), "podCIDRs": [pod_range(self.number)]}
        status = {"addresses": [{"type": "InternalIP", "address": self.address}]}
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name}, "spec": ranges, "status": status}

    def run(self, *command: str, stdin: str | None = None, timeout: float = 60) -> str:
        """What ``command`` prints when run on the node; LabError when it fails or takes longer (seconds)."""
        return self.machine.run(*command, stdin=stdin, timeout=timeout)

    def stop(self, program: str) -> None:
        """End containerd, kubelet, kube-proxy or kube-router; returns when it has ended."""
        stop(daemon_of(self.lab, f"{program}-{self.number}"))

    def start(self, program: str) -> None:
        """Start that program, with what ``configure`` wrote."""
        arguments = {
            "containerd": self._containerd,
            "kubelet": self._kubelet,
            "kube-proxy": self._kube_proxy,
            "kube-router": self._kube_router,
        }[program]()
        self.machine.start(f"{program}-{self.number}", str(self.lab / "bin" / program), *arguments)

    def flush_rules(self) -> None:
        """Remove every rule of the enforcer; those of the kubelet stay, and kube-proxy's are in other tables."""
        saved = self.run("iptables-save", "--table=filter").splitlines()
        kept = [line for line in saved if not any(chain in line for chain in _ENFORCER_CHAINS)]
        self.run("iptables-restore", "--table=filter", stdin="\n".join((*kept, "")))

    def start_all(self) -> None:
        """Start its programs, each as soon as what it needs answers."""
        self.start("containerd")
        socket = self.machine.root / RUNTIME_SOCKET.removeprefix("/")
        wait_until(f"containerd-{self.number}", socket.is_socket, self.lab)
        for program in ("kubelet", "kube-proxy", "kube-router"):
            self.start(program)

    def configure(self, pki: Pki, server: str, registry: tuple[str, str], pause: str) -> None:
        """Write what its programs read. registry: its name and the URL behind it. pause: the sandbox's image."""
        folder = self.machine.folder
        hosts = folder / "certs.d" / registry[0] / "hosts.toml"
        cni = folder / "cni" / "10-lab.conflist"
        for path in (hosts, cni):
            path.parent.mkdir(parents=True)
        hosts.write_text(f'server = "{registry[1]}"\n\n[host."{registry[1]}"]\n  capabilities = ["pull", "resolve"]\n')
        cni.write_text(json.dumps(build_cni(pod_range(self.number))))
        (folder / "containerd.toml").write_text(build_containerd(self.lab / "bin", folder, pause))
        kubelet = build_kubelet(pki, self.name, make_group(self.lab, self.name))
        (folder / "kubelet.yaml").write_text(yaml.safe_dump(kubelet))
        for user, file in ((self.name, "kubelet"), ("kube-proxy", "kube-proxy"), ("kube-router", "kube-router")):
            write_kubeconfig(folder / f"{file}.kubeconfig", server, pki, user)

    def _containerd(self) -> Sequence[str]:
        return [f"--config={self.machine.folder / 'containerd.toml'}", "--log-level=warn"]

    def _kubelet(self) -> Sequence[str]:
        folder = self.machine.folder
        return [
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={folder / 'kubelet.kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        ]

    def _kube_proxy(self) -> Sequence[str]:
        return [
            f"--kubeconfig={self.machine.folder / 'kube-proxy.kubeconfig'}",
            f"--hostname-override={self.name}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={CLUSTER_RANGE}",
            "--conntrack-max-per-core=0",
            "--oom-score-adj=0",
        ]

    def _kube_router(self) -> Sequence[str]:
        return [
            f"--kubeconfig={self.machine.folder / 'kube-router.kubeconfig'}",
            f"--hostname-override={self.name}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--run-loadbalancer=false",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
        ]
