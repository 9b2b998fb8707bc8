"""The host is the same before a lab, while its pods run under a policy that is enforced, and when it is gone."""

from hack.lab.cgroups import group_of
from hack.lab.nodelab import NodeLab
from hack.lab.processes import recorded
from tests.support.guest import use, without_other_labs
from tests.support.host import observe_groups, observe_host, observe_inmates, observe_namespaces


def test_labs_leave_the_host_as_it_was(guest: NodeLab, host_before: dict[str, object]) -> None:
    group = group_of(guest.folder)

    def groups() -> set[object]:
        return set(without_other_labs(observe_groups(), group))

    groups_before, own = groups(), observe_namespaces()
    assert observe_host() == host_before, "the session's lab has changed it"
    guest.up()
    use(guest)
    assert observe_host() == host_before
    assert {path.name for path in groups() - groups_before} == {group}

    inmates = {}
    for machine in guest.machines:
        inmates |= observe_inmates(machine.first().pid)
    assert {daemon.pid for daemon in recorded(guest.folder)} <= set(inmates), "a daemon runs beside the machines"
    spaces = set().union(*inmates.values()) - own
    assert {space.partition(":")[0] for space in spaces} >= {"net", "mnt", "pid", "uts", "ipc"}

    assert guest.down()
    assert observe_host() == host_before
    assert groups() == groups_before
    assert not spaces & observe_namespaces()
    assert not guest.folder.exists()
