"""The lab with real nodes: the whole cluster in namespaces of its own, so that the host stays as it was.

Machines: ``outside`` (the switch, the registry, what lies beyond the cluster) and one per node; the control plane runs
on the first node. Only two relays listen on the host's loopback: for the API server and for the registry.
"""

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from hack.lab.build import LabError
from hack.lab.certs import Pki, make_pki
from hack.lab.cgroups import remove_groups
from hack.lab.components import AGNHOST, CONTROL_PLANE, COREDNS, NODE, PAUSE, Component
from hack.lab.controlplane import SERVICE_API, ControlPlane
from hack.lab.host import check_host
from hack.lab.images import Registry, build_archive
from hack.lab.lab import Lab, write_kubeconfig
from hack.lab.machine import Machine
from hack.lab.network import (
    GATEWAY,
    METADATA_ADDRESS,
    OUTSIDE_ADDRESS,
    OUTSIDE_PORTS,
    make_switch,
    node_address,
    plug_in,
    route,
)
from hack.lab.node import Node
from hack.lab.processes import kill_all, recorded, start, wait_until

_REGISTRY_PORT = 5000
_REGISTRY_NAME = "registry.example.com"
REGISTRY = f"{_REGISTRY_NAME}:{_REGISTRY_PORT}"
"""By plain HTTP, for nodes and for pods."""
API_PORT = 6443
_SERVER = f"https://{node_address(1)}:{API_PORT}"
_DNS = Path(__file__).parent / "dns.yaml"
_RELAY = Path(__file__).parent / "relay.py"


@dataclass(frozen=True)
class NodeLab(Lab):
    """A cluster of ``count`` real nodes."""

    count: int = 1

    @property
    def components(self) -> tuple[Component, ...]:
        """The control plane and all that makes a node."""
        return (*CONTROL_PLANE, *NODE)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its nodes, the one with the control plane first."""
        return tuple(Node(self.folder, number) for number in range(1, self.count + 1))

    @property
    def outside(self) -> Machine:
        """The machine beyond the cluster."""
        return Machine("outside", self.folder)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All of its machines."""
        return (self.outside, *(node.machine for node in self.nodes))

    @property
    def registry(self) -> Registry:
        """Where images are pushed to, by the name nodes pull them with."""
        return Registry(REGISTRY, (self.folder / "registry.address").read_text())

    def describe(self) -> str:
        """What a user must know of its nodes."""
        names = ", ".join(f"{node.name} {node.address}" for node in self.nodes)
        return f"real nodes in namespaces of their own: {names}; registry {REGISTRY} at {self.registry.address}"

    def check(self) -> None:
        """LabError when this machine can't run it, or it runs already with another number of nodes."""
        check_host(self.folder)
        there = sum(1 for d in recorded(self.folder) if d.name.startswith("kubelet-")) if self.running() else self.count
        if there != self.count:
            raise LabError(f"{self.folder} is up with NODES={there}, not {self.count}: make lab-down first")

    def push_binary(self, component: Component) -> str:
        """Push an image of nothing but this static binary; returns its reference by digest."""
        archive = self.folder / f"{component.name}.tar"
        path = f"/{component.name}"
        build_archive(archive, {path: self.folder / "bin" / component.name}, [path])
        reference = self.registry.push(archive, f"lab/{component.name}")
        archive.unlink()
        return reference

    def push_agnhost(self) -> str:
        """Push Kubernetes' own test image; returns its reference by digest."""
        return self.push_binary(AGNHOST)

    def start(self) -> None:
        """Start everything in the empty folder; pods can become Ready, and the kubeconfig is written last."""
        pki = self._make_pki()
        self._boot()
        self._start_registry()
        api = self.relay("api", node_address(1), API_PORT)
        self._control_plane(pki).start_api(f"https://{api}")
        self._control_plane(pki).start_controllers()
        partial = write_kubeconfig(self.folder / "kubeconfig.partial", f"https://{api}", pki, "admin")
        self._start_nodes(pki, partial)
        self._start_dns(partial)
        partial.rename(self.kubeconfig)

    def stop(self) -> None:
        """End everything at once: nobody needs its state any more. What the namespaces held goes with them."""
        kill_all(self.folder)
        remove_groups(self.folder)

    def _make_pki(self) -> Pki:
        clients: dict[str, tuple[str, str | None]] = {
            "kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
            "kube-proxy": ("system:kube-proxy", None),
            "kube-router": ("kube-router", "system:masters"),
        }
        servers: dict[str, tuple[str, ...]] = {"apiserver": ("127.0.0.1", SERVICE_API, node_address(1))}
        for node in self.nodes:
            clients[node.name] = (f"system:node:{node.name}", "system:nodes")
            servers[f"{node.name}-serving"] = (node.name, node.address)
        return make_pki(self.folder / "pki", clients=clients, servers=servers)

    def _boot(self) -> None:
        self.outside.boot()
        make_switch(self.outside)
        # By address: an answer from the wildcard address would come from another one than was asked.
        listen = f"--udp-listen-addresses={OUTSIDE_ADDRESS},{METADATA_ADDRESS}"
        for port in OUTSIDE_PORTS:
            agnhost = (str(self.folder / "bin" / "agnhost"), "netexec", f"--http-port={port}", f"--udp-port={port}")
            self.outside.start(f"outside-{port}", *agnhost, listen)
        for node in self.nodes:
            node.machine.boot()
            plug_in(node.machine, node.number, self.outside)
        for node in self.nodes:
            for other in self.nodes:
                if other != node:
                    route(node.machine, other.number)

    def _control_plane(self, pki: Pki) -> ControlPlane:
        machine = self.nodes[0].machine
        extra = (
            f"--advertise-address={node_address(1)}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={pki.path('ca.crt')}",
            f"--kubelet-client-certificate={pki.path('kubelet-client.crt')}",
            f"--kubelet-client-key={pki.path('kubelet-client.key')}",
        )
        ports = (2379, 2380, API_PORT, 10257, 10259)
        return ControlPlane(self.folder, pki, ports, _SERVER, enter=machine.enter(), extra=extra)

    def _start_registry(self) -> None:
        config = self.folder / "registry.json"
        content = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "registry")}},
            "http": {"addr": f"{GATEWAY}:{_REGISTRY_PORT}", "relativeurls": True},
        }
        config.write_text(json.dumps(content))
        command = (str(self.folder / "bin" / "registry"), "serve", str(config))
        self.outside.start("registry", *command, environment=("OTEL_TRACES_EXPORTER=none",))
        address = self.relay("registry", GATEWAY, _REGISTRY_PORT)
        (self.folder / "registry.address").write_text(address)
        wait_until("registry", self.registry.answers, self.folder)

    def relay(self, name: str, host: str, port: int) -> str:
        """Have a port of the host's loopback lead to ``host:port`` in the lab; returns the address to use."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            keep = listener.fileno()
            command = [sys.executable, str(_RELAY), str(keep), host, str(port)]
            start(f"relay-{name}", command, self.folder, enter=self.outside.enter("net", "pid"), keep=keep)
            return "{}:{}".format(*listener.getsockname())

    def _start_nodes(self, pki: Pki, kubeconfig: Path) -> None:
        registry = (REGISTRY, f"http://{GATEWAY}:{_REGISTRY_PORT}")
        pause = self.push_binary(PAUSE)
        for node in self.nodes:
            node.configure(pki, _SERVER, registry, pause)
            self.kubectl("create", "-f", "-", kubeconfig=kubeconfig, stdin=json.dumps(node.manifest()))
            node.start_all()
        for awaited in ("--for=condition=Ready", "node", "--all"), ("--for=create", "serviceaccount/default"):
            self.kubectl("wait", "--timeout=120s", *awaited, kubeconfig=kubeconfig)

    def _start_dns(self, kubeconfig: Path) -> None:
        manifests = _DNS.read_text().replace("REGISTRY", f"{GATEWAY} {_REGISTRY_NAME}")
        manifests = manifests.replace("COREDNS", self.push_binary(COREDNS))
        self.kubectl("apply", "-f", "-", kubeconfig=kubeconfig, stdin=manifests)
        where = ("-n", "kube-system", "deployment/coredns")
        self.kubectl("rollout", "status", "--timeout=120s", *where, kubeconfig=kubeconfig)
