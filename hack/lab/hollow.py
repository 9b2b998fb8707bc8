"""The fast lab: a control plane on loopback, and KWOK as the stand-in for a node. Needs no rights."""

from dataclasses import dataclass
from pathlib import Path

from hack.lab.certs import make_pki
from hack.lab.components import CONTROL_PLANE, KWOK, Component
from hack.lab.controlplane import SERVICE_API, ControlPlane, audit_flags, free_ports
from hack.lab.lab import Lab, write_kubeconfig
from hack.lab.processes import start

_NODE = Path(__file__).parent / "hollow-node.yaml"
_STAGES = Path(__file__).parent / "stages.yaml"
_LOOPBACK = ("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none")


@dataclass(frozen=True)
class HollowLab(Lab):
    """Pods report Ready but run no process. audit: the API server also records who asked what (audit.k8s.io/v1)."""

    audit: bool = False

    @property
    def audit_log(self) -> Path:
        """One JSON event a line."""
        return self.folder / "logs" / "audit.log"

    @property
    def components(self) -> tuple[Component, ...]:
        """The control plane and KWOK."""
        return (*CONTROL_PLANE, KWOK)

    def check(self) -> None:
        """Any machine can that can build it."""

    def describe(self) -> str:
        """What a user must know of its node."""
        return "its node is simulated (KWOK): pods report Ready but run no process"

    def start(self) -> None:
        """Start everything in the empty folder; pods can become Ready, and the kubeconfig is written last."""
        client, peer, api, manager, scheduler, kwok = free_ports(6)
        server = f"https://127.0.0.1:{api}"
        clients = {"kwok": ("kwok", "system:masters")}
        pki = make_pki(self.folder / "pki", clients=clients, servers={"apiserver": ("127.0.0.1", SERVICE_API)})
        extra = (*_LOOPBACK, *(audit_flags(self.audit_log) if self.audit else ()))
        plane = ControlPlane(self.folder, pki, (client, peer, api, manager, scheduler), server, extra=extra)
        plane.start_api(server)
        plane.start_controllers()
        write_kubeconfig(self.folder / "kwok.kubeconfig", server, pki, "kwok")
        start("kwok", self._kwok(kwok), self.folder)
        partial = write_kubeconfig(self.folder / "kubeconfig.partial", server, pki, "admin")
        self.kubectl("apply", "-f", str(_NODE), kubeconfig=partial)
        for awaited in ("--for=condition=Ready", "node/hollow-0"), ("--for=create", "serviceaccount/default"):
            self.kubectl("wait", "--timeout=60s", *awaited, kubeconfig=partial)
        partial.rename(self.kubeconfig)

    def _kwok(self, port: int) -> list[str]:
        return [
            str(self.folder / "bin" / "kwok"),
            f"--kubeconfig={self.folder / 'kwok.kubeconfig'}",
            f"--config={_STAGES}",
            "--manage-nodes-with-label-selector=type=kwok",
            f"--server-address=127.0.0.1:{port}",
            "--node-lease-duration-seconds=40",
        ]
