"""What is left of a lab that was killed, or of one that was killed on its way up, is no more than a lab to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hack.lab.cgroups import group_of
from hack.lab.nodelab import NodeLab
from hack.lab.processes import daemon_of, recorded
from tests.support.eventually import eventually
from tests.support.guest import use
from tests.support.host import observe_groups, observe_processes

ROOT = Path(__file__).parent.parent


def test_a_lab_that_lost_a_node_is_brought_up_again(guest: NodeLab) -> None:
    guest.up()
    first = recorded(guest.folder)
    guest.up()
    assert recorded(guest.folder) == first, "a lab that is up is left alone"
    os.kill(daemon_of(guest.folder, "node-1").pid, signal.SIGKILL)
    eventually(guest.running, wanted=False)
    guest.up()
    use(guest)


@pytest.mark.parametrize("last", ["node-1", "kube-apiserver", "kubelet-1"])
def test_a_lab_killed_on_its_way_up_leaves_nothing_after_down(guest: NodeLab, last: str) -> None:
    environment = {**os.environ, "NODE": "1", "NODES": "1", "LAB_DIR": str(guest.folder).removesuffix("-node")}
    with subprocess.Popen([sys.executable, "-m", "hack.lab", "up"], env=environment, cwd=ROOT) as going_up:
        eventually(lambda: last in {daemon.name for daemon in recorded(guest.folder)})
        going_up.kill()
    assert not guest.running()
    assert guest.down()
    assert not guest.folder.exists()
    assert str(guest.folder) not in " ".join(observe_processes().values())
    assert group_of(guest.folder) not in {path.name for path in observe_groups()}
