"""Which cluster the suites act on: never one that nobody named."""

from pathlib import Path

import pytest
from hack.lab.build import LabError
from hack.lab.context import (
    Cluster,
    check_named,
    choose_cluster,
    cluster_from_environment,
    e2e_cluster_from_environment,
    lab_of,
    nodes_wanted,
)
from hack.lab.hollow import HollowLab
from hack.lab.nodelab import NodeLab

LAB = Path("/checkout/.lab/kubeconfig")
KIND = Path("/checkout/.lab-kind/kubeconfig")


def choose(env: dict[str, str], *, docker: bool = False, kind: bool = False) -> Cluster:
    return choose_cluster(env, docker_answers=docker, kind_installed=kind, lab_kubeconfig=LAB, kind_kubeconfig=KIND)


def test_named_context_wins_over_everything() -> None:
    env = {"KUBECONFIG": "/home/me/config", "MICROAPP_E2E_CONTEXT": "team-test"}
    assert choose(env, docker=True, kind=True) == Cluster(Path("/home/me/config"), "team-test", "named")


def test_kind_where_docker_answers() -> None:
    assert choose({}, docker=True, kind=True) == Cluster(KIND, "kind-microapp-e2e", "kind")


@pytest.mark.parametrize(("docker", "kind"), [(False, True), (True, False), (False, False)])
def test_lab_without_docker_or_kind(docker: bool, kind: bool) -> None:
    assert choose({}, docker=docker, kind=kind) == Cluster(LAB, "lab-microapp", "lab")


@pytest.mark.parametrize("env", [{"KUBECONFIG": ""}, {"KUBECONFIG": "", "MICROAPP_E2E_CONTEXT": ""}])
def test_empty_variables_are_unset_variables(env: dict[str, str]) -> None:
    assert choose(env).kind == "lab"


def test_the_labs_own_kubeconfig_is_the_lab_even_beside_docker() -> None:
    assert choose({"KUBECONFIG": str(LAB)}, docker=True, kind=True) == Cluster(LAB, "lab-microapp", "lab")


def test_a_relative_path_to_the_labs_kubeconfig_is_the_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lab = tmp_path / ".lab" / "kubeconfig"
    chosen = choose_cluster(
        {"KUBECONFIG": ".lab/kubeconfig"},
        docker_answers=True,
        kind_installed=True,
        lab_kubeconfig=lab,
        kind_kubeconfig=KIND,
    )
    assert chosen == Cluster(lab, "lab-microapp", "lab")


@pytest.mark.parametrize("docker", [True, False])
def test_a_current_context_nobody_named_is_refused(docker: bool) -> None:
    with pytest.raises(LabError, match="MICROAPP_E2E_CONTEXT"):
        choose({"KUBECONFIG": "/home/me/config"}, docker=docker, kind=docker)


def test_a_list_that_has_the_lab_in_it_is_refused() -> None:
    with pytest.raises(LabError, match="MICROAPP_E2E_CONTEXT"):
        choose({"KUBECONFIG": f"{LAB}:/home/me/config"})


def test_a_context_without_a_file_is_refused() -> None:
    with pytest.raises(LabError, match="set KUBECONFIG too"):
        choose({"MICROAPP_E2E_CONTEXT": "team-test"}, docker=True, kind=True)


def test_a_context_of_several_files_is_refused() -> None:
    with pytest.raises(LabError, match="several files"):
        choose({"KUBECONFIG": "/a:/b", "MICROAPP_E2E_CONTEXT": "team-test"})


def test_a_named_context_must_exist(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    with pytest.raises(LabError, match="is not there"):
        check_named(Cluster(kubeconfig, "mine", "named"))
    kubeconfig.write_text("contexts:\n- name: other\n")
    with pytest.raises(LabError, match="has no context mine; it has: other"):
        check_named(Cluster(kubeconfig, "mine", "named"))
    check_named(Cluster(kubeconfig, "other", "named"))


@pytest.mark.parametrize(
    ("env", "nodes"),
    [
        ({}, 0),
        ({"NODE": "", "NODES": ""}, 0),
        ({"NODE": "0"}, 0),
        ({"NODE": "1"}, 1),
        ({"NODE": "1", "NODES": "2"}, 2),
    ],
)
def test_real_nodes_are_those_asked_for(env: dict[str, str], nodes: int) -> None:
    assert nodes_wanted(env) == nodes


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"NODE": "yes"}, "neither 0 nor 1"),
        ({"NODE": "2"}, "said with NODES"),
        ({"NODES": "2"}, "set NODE=1 too"),
        ({"NODE": "1", "NODES": "0"}, "not a number from 1 to 9"),
        ({"NODE": "1", "NODES": "two"}, "not a number from 1 to 9"),
    ],
)
def test_nodes_that_make_no_sense_are_refused(env: dict[str, str], says: str) -> None:
    with pytest.raises(LabError, match=says):
        nodes_wanted(env)


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_docker")
def test_the_lab_with_real_nodes_is_another_one_than_that_without(tmp_path: Path) -> None:
    env = {"LAB_DIR": str(tmp_path / "lab")}
    hollow = cluster_from_environment(env)
    real = cluster_from_environment({**env, "NODE": "1"})
    assert lab_of(hollow) == HollowLab(tmp_path / "lab")
    assert lab_of(real) == NodeLab(tmp_path / "lab-node", 1)


@pytest.mark.usefixtures("no_docker")
def test_what_needs_nodes_gets_two_even_where_the_lab_without_is_named(tmp_path: Path) -> None:
    env = {"LAB_DIR": str(tmp_path / "lab"), "KUBECONFIG": str(tmp_path / "lab" / "kubeconfig")}
    wanted = NodeLab(tmp_path / "lab-node", 2)
    assert lab_of(e2e_cluster_from_environment({"LAB_DIR": env["LAB_DIR"]})) == wanted
    assert lab_of(e2e_cluster_from_environment(env)) == wanted
    assert lab_of(e2e_cluster_from_environment({**env, "NODE": "1", "NODES": "3"})) == NodeLab(wanted.folder, 3)


@pytest.mark.usefixtures("no_docker")
def test_what_needs_nodes_takes_no_cluster_nobody_named(tmp_path: Path) -> None:
    env = {"LAB_DIR": str(tmp_path / "lab"), "KUBECONFIG": "/home/me/config"}
    with pytest.raises(LabError, match="MICROAPP_E2E_CONTEXT"):
        e2e_cluster_from_environment(env)
    named = e2e_cluster_from_environment({**env, "MICROAPP_E2E_CONTEXT": "team-test"})
    assert (named.kubeconfig, named.context, named.kind) == (Path("/home/me/config"), "team-test", "named")
    with pytest.raises(LabError, match="no lab of ours"):
        lab_of(named)
