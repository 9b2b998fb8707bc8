"""A machine that can't run real nodes is told all it lacks, before anything is built."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from hack.lab.build import LabError
from hack.lab.host import check_host


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks nothing."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program, path: f"{path}/{program}")


def test_an_able_machine_is_fine() -> None:
    check_host(Path("/checkout/.lab-node"))


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(LabError, match="need Linux"):
        check_host(Path("/checkout/.lab-node"))


def test_all_that_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda program, path: None if program in ("runc", "nft") else path)
    with pytest.raises(LabError, match="as root") as caught:
        check_host(Path("/checkout/.lab-node"))
    assert "apt-get install --no-install-recommends nftables runc" in str(caught.value)


def test_a_folder_nodes_would_not_see_is_refused() -> None:
    with pytest.raises(LabError, match=r"/var/lib/ci/\.lab-node is below /var/lib"):
        check_host(Path("/var/lib/ci/.lab-node"))
