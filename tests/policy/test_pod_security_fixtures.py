"""Parity with Kubernetes: its own examples for the Pod Security Standards get the answers its own admission gives."""

import json
import subprocess
from pathlib import Path

import pytest
from hack.lab.components import GO
from tests.support.pod_security import Fixture, load_fixtures, review

from microapp_operator.adapters.rego import RegoEngine

MODULE = "k8s.io/pod-security-admission"
CONTROLS = {
    "privileged": {"MA-PSS-001"},
    "hostnamespaces": {"MA-PSS-002"},
    "hostpathvolumes": {"MA-PSS-003"},
    "hostports": {"MA-PSS-004"},
    "capabilities_baseline": {"MA-PSS-005"},
    "capabilities_restricted": {"MA-PSS-005"},
    "allowprivilegeescalation": {"MA-PSS-006"},
    "runasnonroot": {"MA-PSS-007"},
    "runasuser": {"MA-PSS-008"},
    "seccompprofile_baseline": {"MA-PSS-009"},
    "seccompprofile_restricted": {"MA-PSS-009"},
    "selinuxoptions": {"MA-PSS-010"},
    "apparmorprofile": {"MA-PSS-011"},
    "procmount": {"MA-PSS-012"},
    "procmount_restricted": {"MA-PSS-012"},
    "sysctls": {"MA-PSS-013"},
    "restrictedvolumes": {"MA-PSS-003", "MA-PSS-014"},
    "windowshostprocess": {"MA-PSS-015"},
    "hostprobesandhostlifecycle": {"MA-PSS-016"},
}
"""The rules that may answer for each control, by the names of its examples. Host paths have a rule of their own."""


@pytest.fixture(scope="module")
def fixtures() -> list[Fixture]:
    """The examples of the version the lab's Kubernetes is built with."""
    command = ["go", "mod", "download", "-json", MODULE]
    done = subprocess.run(command, cwd=GO / "kubernetes", capture_output=True, text=True, check=True)
    return load_fixtures(Path(json.loads(done.stdout)["Dir"]))


@pytest.fixture(scope="module")
def objections(fixtures: list[Fixture], engine: RegoEngine) -> dict[str, set[str]]:
    """Ids of the Pod Security rules each example violates."""
    return {f.id: {v.rule.id for v in engine.evaluate("Pod", review(f)) if "-PSS-" in v.rule.id} for f in fixtures}


def test_examples_cover_every_rule_and_the_newest_version(fixtures: list[Fixture]) -> None:
    assert {_control(f) for f in fixtures if f.direction == "fail"} == set(CONTROLS)
    assert {(f.level, f.version) for f in fixtures} >= {
        (level, v) for level in ("baseline", "restricted") for v in range(36)
    }


def test_what_kubernetes_admits_passes(fixtures: list[Fixture], objections: dict[str, set[str]]) -> None:
    wrong = {f.id: objections[f.id] for f in fixtures if f.direction == "pass" and objections[f.id]}
    assert not wrong


def test_what_kubernetes_refuses_is_refused_by_the_same_control(
    fixtures: list[Fixture], objections: dict[str, set[str]]
) -> None:
    failing = [f for f in fixtures if f.direction == "fail"]
    wrong = {f.id: objections[f.id] for f in failing if not objections[f.id] & CONTROLS[_control(f)]}
    assert not wrong


def _control(fixture: Fixture) -> str:
    return fixture.path.stem.rstrip("0123456789")
