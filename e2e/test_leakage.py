"""Every app against every other and everything else: nothing answers but what both sides declared.

Twelve apps of three tenants on two nodes; pod and Service addresses, TCP and UDP, nodes, API server, metadata, DNS,
the outside. The table is printed; pytest's --junitxml has one case for each caller and round.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hack.kubectl import Kubectl
from hack.lab.controlplane import SERVICE_API
from hack.lab.network import METADATA_ADDRESS, OUTSIDE_ADDRESS
from hack.lab.nodeconfig import DNS_ADDRESS
from hack.lab.nodelab import NodeLab
from hack.product import Product
from tests.support.apps import Apps, tenant_of

from microapp_operator.probe import OPEN_PORT
from microapp_operator.probe.wire import Target

TENANTS, NAMES = 3, ("web", "api", "shy", "lone")
"""web calls api, which lets it in. shy calls lone, which doesn't; lone lets api in, which doesn't call it."""
CALLERS = tuple(f"{tenant}/{name}" for tenant in range(TENANTS) for name in NAMES)


def _spec(tenant: str, name: str) -> dict[str, object]:
    def calls(peer: str) -> list[dict[str, object]]:
        app = {"namespace": tenant, "name": peer}
        return [
            {
                "name": peer,
                "microApp": app,
                "port": OPEN_PORT,
                "dataClassification": "internal",
                "justification": "calls it",
            }
        ]

    def admits(peer: str) -> dict[str, object]:
        return {"from": [{"microApp": {"namespace": tenant, "name": peer}}]}

    return {
        "web": {"egress": calls("api")},
        "api": {"ingress": admits("web")},
        "shy": {"egress": calls("lone")},
        "lone": {"ingress": admits("api")},
    }[name]


@dataclass
class World:
    """All apps, and what there is to try."""

    tenants: list[Apps]
    lab: NodeLab
    everywhere: list[Target] = field(default_factory=list)

    def of(self, caller: str) -> tuple[Apps, str]:
        tenant, name = caller.split("/")
        return self.tenants[int(tenant)], name

    def targets(self, caller: str) -> list[Target]:
        """All that isn't the caller itself."""
        own = f"{caller} "
        return [target for target in self.everywhere if not target.name.startswith(own)]

    def learn(self) -> None:
        """Take down all addresses there are now."""
        self.everywhere = [*self._surroundings()]
        for caller in CALLERS:
            apps, name = self.of(caller)
            pod, service = apps.pod(name)["status"]["podIP"], apps.service(name)
            self.everywhere += [
                Target(f"{caller} pod tcp", pod, OPEN_PORT),
                Target(f"{caller} pod udp", pod, OPEN_PORT, "UDP"),
                Target(f"{caller} service", service, 80),
            ]

    def _surroundings(self) -> Iterator[Target]:
        for node in self.lab.nodes:
            yield Target(f"{node.name} kubelet", node.address, 10250)
        yield Target("API server, service", SERVICE_API, 443)
        yield Target("API server, node", self.lab.nodes[0].address, 6443)
        for what, address, port in (
            ("metadata", METADATA_ADDRESS, 80),
            ("outside", OUTSIDE_ADDRESS, 443),
            ("DNS", DNS_ADDRESS, 53),
        ):
            yield Target(f"{what} tcp", address, port)
            if what != "DNS":  # an echo is asked for, which a resolver doesn't give
                yield Target(f"{what} udp", address, port, "UDP")

    def allowed(self, caller: str) -> set[str]:
        """What both sides declared; a caller of another app may ask for names."""
        tenant, name = caller.split("/")
        named = {"DNS tcp"} if name in ("web", "shy") else set()
        return named | ({f"{tenant}/api pod tcp", f"{tenant}/api service"} if name == "web" else set())


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, platform: Product, lab: NodeLab, image: str) -> Iterator[World]:  # noqa: ARG001
    """Callers first in one half of the tenants, those they call first in the other."""
    with ExitStack() as stack:
        tenants = [stack.enter_context(tenant_of(kubectl, image)) for _ in range(TENANTS)]
        for number, apps in enumerate(tenants):
            for name in NAMES if number % 2 else reversed(NAMES):
                apps.apply(name, **_spec(apps.tenant, name))
        for apps in tenants:
            apps.wait(*NAMES)
        world = World(tenants, lab)
        world.learn()
        yield world


def _held_to(world: World, caller: str) -> None:
    apps, name = world.of(caller)
    reached, allowed = apps.reached(name, world.targets(caller)), world.allowed(caller)
    count = len(world.targets(caller))
    print(f"{caller:8} {len(reached):3} of {count} answer: {', '.join(sorted(reached)) or 'nothing'}")
    assert reached == allowed


@pytest.mark.parametrize("caller", CALLERS)
def test_an_app_reaches_what_both_sides_declared_and_nothing_else(world: World, caller: str) -> None:
    _held_to(world, caller)


def test_apps_run_on_both_nodes_so_that_both_paths_were_tried(world: World) -> None:
    nodes = {world.of(caller)[0].pod(world.of(caller)[1])["spec"]["nodeName"] for caller in CALLERS}
    assert nodes == {node.name for node in world.lab.nodes}


def test_a_node_itself_reaches_what_the_matrix_calls_closed(world: World) -> None:
    """So that silence was the policies' doing: without one, everything there answers."""
    tried = [t for t in world.everywhere if "pod" not in t.name and "service" not in t.name and t.protocol == "TCP"]
    for target in tried:
        world.lab.nodes[1].run("/bin/bash", "-c", f"exec 3<>/dev/tcp/{target.address}/{target.port}")


def test_nothing_opens_while_the_operator_restarts(world: World, platform: Product) -> None:
    platform.kubectl(
        "delete", "pods", "-n", platform.namespace, "-l", "app.kubernetes.io/component=operator", "--wait=false"
    )
    for caller in CALLERS:
        _held_to(world, caller)
    platform.wait_ready()


def test_an_app_that_replaces_its_pod_stays_confined_at_its_new_address(world: World) -> None:
    for apps in world.tenants:
        apps.kubectl("delete", "pods", "--all", "-n", apps.home("lone"))
        apps.wait("lone")
        apps.kubectl("wait", "--for=condition=Available", "deployment/lone", "-n", apps.home("lone"), "--timeout=60s")
    world.learn()
    for caller in CALLERS:
        _held_to(world, caller)
