"""What is true on one node is true between two."""

from hack.lab.nodelab import NodeLab
from tests.support.eventually import eventually
from tests.support.pods import Pods


def test_pods_of_two_nodes_reach_each_other_and_see_who_calls(pods: Pods, lab: NodeLab) -> None:
    first, second = (node.name for node in lab.nodes)
    pods.serve("here", node=first)
    pods.serve("there", node=second)
    for one, other in (("here", "there"), ("there", "here")):
        assert pods.reaches(one, pods.address(other))
        assert pods.reaches(one, pods.address(other), protocol="udp")
        # A translated address would make every policy that names pods a lie.
        (caller,) = pods.dial(one, pods.address(other), "clientip")
        assert caller.rpartition(":")[0] == pods.address(one)


def test_a_service_leads_to_a_pod_of_another_node(pods: Pods, lab: NodeLab) -> None:
    first, second = (node.name for node in lab.nodes)
    pods.serve("client", node=first)
    pods.serve("server", node=second)
    address = pods.expose("server")
    eventually(lambda: pods.reaches("client", address))
    eventually(lambda: pods.reaches("client", address, protocol="udp"))
