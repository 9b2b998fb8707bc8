"""The lab's wires: a switch in the machine ``outside``, one cable to each node, routes between the pods' ranges."""

from hack.lab.machine import Machine

OUTSIDE_ADDRESS = "203.0.113.10"
METADATA_ADDRESS = "169.254.169.254"
OUTSIDE_PORTS = (80, 443)
"""Both addresses answer on these, by TCP (HTTP) and UDP, so that what a policy denies would connect without it."""
CLUSTER_RANGE = "10.244.0.0/16"
GATEWAY = "10.200.0.254"
_BRIDGE = "switch"


def node_address(number: int) -> str:
    """The address of node ``number``, counted from 1."""
    return f"10.200.0.{number}"


def pod_range(number: int) -> str:
    """The range its pods get their addresses from."""
    return f"10.244.{number}.0/24"


def make_switch(outside: Machine) -> None:
    """Give ``outside`` the switch and its addresses."""
    outside.run("ip", "link", "add", _BRIDGE, "type", "bridge")
    outside.run("ip", "link", "set", _BRIDGE, "up")
    for address in (f"{GATEWAY}/24", f"{OUTSIDE_ADDRESS}/32", f"{METADATA_ADDRESS}/32"):
        outside.run("ip", "address", "add", address, "dev", _BRIDGE)


def plug_in(node: Machine, number: int, outside: Machine) -> None:
    """Connect ``node`` to the switch: address, way out, and the way back to its pods."""
    pid = outside.first().pid
    # The name of the other end's namespace is a pid here, so this end alone is entered: pids are the host's.
    peer = ("peer", "name", node.name, "netns", str(pid))
    node.run("ip", "link", "add", "eth0", "type", "veth", *peer, only=("net",))
    outside.run("ip", "link", "set", node.name, "master", _BRIDGE, "up")
    node.run("ip", "address", "add", f"{node_address(number)}/24", "dev", "eth0")
    node.run("ip", "link", "set", "eth0", "up")
    node.run("ip", "route", "add", "default", "via", GATEWAY)
    node.run("tee", "/proc/sys/net/ipv4/ip_forward", stdin="1")
    outside.run("ip", "route", "add", pod_range(number), "via", node_address(number))


def route(node: Machine, other: int) -> None:
    """Tell ``node`` the way to the pods of node ``other``."""
    node.run("ip", "route", "add", pod_range(other), "via", node_address(other))
