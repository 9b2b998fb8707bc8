"""Where the API server doesn't serve MutatingAdmissionPolicy, the webhook stamps who edits and who approves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hack import admission
from hack import approve as approving
from hack.install import install
from hack.kubectl import Kubectl
from hack.lab.context import Cluster

from tests.support.eventually import eventually
from tests.support.guarded import World, guarded, rules

ALICE, BOB, CAROL = (f"{name}@example.com" for name in ("alice", "bob", "carol"))
STAMPS = ("microapps-stamp-editors", "microapps-stamp-approvers", "microapps-stamp-cleanup")


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, cluster: Cluster, installed: None) -> Iterator[World]:  # noqa: ARG001
    """No policy stamps; the webhook does."""
    kubectl("delete", "mutatingadmissionpolicybinding", *STAMPS)
    try:
        with guarded(kubectl, cluster, {"registries": ["registry.example.com/"], "gitops": []}) as world:
            world.register(admission.MUTATING)
            eventually(lambda: world.apply_app("first", ALICE), "")
            yield world
    finally:
        install(kubectl)


def read(world: World, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.kubectl("get", kind, name, "-n", world.tenant, "-o", "json"))
    return found


def editors(world: World) -> str:
    return str(read(world, "mapp", "app")["metadata"]["annotations"]["microapps.dev/editors"])


def test_editors_and_approvers_are_stamped_and_proven(world: World) -> None:
    assert world.apply_app("app", ALICE, riskTier="medium", stage="production") == ""
    edit = {"spec": {"runtime": {"port": 9000}}}
    assert world.patch("mapp", "app", edit, "-n", world.tenant, user=BOB) == ""
    assert editors(world) == f"user:{ALICE}\nuser:{BOB}"
    forged = {"metadata": {"annotations": {"microapps.dev/editors": f"user:{CAROL}"}}}
    assert rules(world.patch("mapp", "app", forged, "-n", world.tenant, user=BOB)) == {"MA-APR-007"}
    taken = {"metadata": {"annotations": {"microapps.dev/editors": None}}}
    assert world.patch("mapp", "app", taken, "-n", world.tenant, user=BOB) == ""
    assert editors(world) == f"user:{ALICE}\nuser:{BOB}"
    eventually(lambda: read(world, "mapp", "app")["status"]["observedGeneration"], 2)
    approval = approving.build_approval(read(world, "mapp", "app"), "release")
    apply = ("apply", "--server-side", "-f", "-")
    for _ in range(2):  # the second time, nothing that was filled in is taken away
        assert world.attempt(*apply, user=CAROL, **approval) == ""
    spec = read(world, "mappr", "release")["spec"]
    assert (spec["approver"], spec["approverIdentities"]) == (CAROL, [f"user:{CAROL}"])
    assert spec["approverGroups"] == [admission.ANYONE, "system:authenticated"]
    world.kubectl("wait", "--for=condition=Approved", "mapp/app", "-n", world.tenant, "--timeout=30s")


def test_who_lets_secrets_go_is_stamped_and_goes_with_the_reason(world: World) -> None:
    skip = "microapps.dev/skip-secret-cleanup"
    assert world.apply_app("lost", ALICE) == ""

    def told() -> dict[str, str]:
        return {k: v for k, v in read(world, "mapp", "lost")["metadata"]["annotations"].items() if k.startswith(skip)}

    assert world.attempt("annotate", "mapp", "lost", "-n", world.tenant, f"{skip}=Vault is lost", user=CAROL) == ""
    assert told() == {skip: "Vault is lost", f"{skip}-by": CAROL}
    forged = {"metadata": {"annotations": {f"{skip}-by": BOB}}}
    assert rules(world.patch("mapp", "lost", forged, "-n", world.tenant, user=ALICE)) == {"MA-SEC-002"}
    taken = {"metadata": {"annotations": {skip: None}}}
    assert world.patch("mapp", "lost", taken, "-n", world.tenant, user=ALICE) == ""
    assert told() == {}
