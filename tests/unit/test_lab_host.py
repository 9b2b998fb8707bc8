"""A machine that can't run real nodes is told all it lacks, before anything is built."""

import os
import shutil
import subprocess
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
    answer_with(monkeypatch, unshare=0, file_system="ext4")


def answer_with(monkeypatch: pytest.MonkeyPatch, *, unshare: int, file_system: str) -> None:
    """Let ``unshare`` end with that status, and ``findmnt`` name that file system."""

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str] | subprocess.CompletedProcess[bytes]":
        if command[0] == "unshare":
            return subprocess.CompletedProcess(command, unshare, b"", b"Operation not permitted")
        return subprocess.CompletedProcess(command, 0, f"{file_system}\n", "")

    monkeypatch.setattr(subprocess, "run", run)


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


def test_root_without_the_right_to_namespaces_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, unshare=1, file_system="ext4")
    with pytest.raises(LabError, match="may not make namespaces: Operation not permitted"):
        check_host(Path("/checkout/.lab-node"))


def test_a_folder_images_cannot_be_unpacked_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, unshare=0, file_system="overlay")
    with pytest.raises(LabError, match="is on an overlay"):
        check_host(Path("/checkout/.lab-node"))


def test_a_folder_nodes_would_not_see_is_refused() -> None:
    with pytest.raises(LabError, match=r"/var/lib/ci/\.lab-node is below /var/lib"):
        check_host(Path("/var/lib/ci/.lab-node"))
