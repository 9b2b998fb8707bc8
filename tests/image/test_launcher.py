"""The launcher's image: one program that needs nothing around it, the same whoever builds it."""

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hack.image.launcher import PROGRAM, build_launcher
from hack.install import ROOT
from hack.lab.components import LAUNCHER
from hack.lab.images import NOBODY


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image") / "launcher.tar"


@pytest.fixture(scope="module")
def digest(archive: Path) -> str:
    return build_launcher(archive)


def blob(archive: Path, digest: str) -> bytes:
    with tarfile.open(archive) as tar:
        content = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        assert content is not None
        return content.read()


def parts(archive: Path, digest: str) -> tuple[dict[str, Any], list[str]]:
    """Its configuration, and the digests of its layers."""
    manifest = json.loads(blob(archive, digest))
    config: dict[str, Any] = json.loads(blob(archive, manifest["config"]["digest"]))["config"]
    return config, [layer["digest"] for layer in manifest["layers"]]


def test_it_holds_one_program_which_runs_as_nobody_on_a_root_without_anything(
    archive: Path, digest: str, tmp_path: Path
) -> None:
    _, (layer,) = parts(archive, digest)
    (tmp_path / "layer.tar").write_bytes(blob(archive, layer))
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert tar.getnames() == [PROGRAM.lstrip("/")]
        tar.extractall(tmp_path / "root", filter="tar")
    mapped, user = ([], [f"--userspec={NOBODY}"]) if os.geteuid() == 0 else (["--map-root-user"], [])
    inside = ["unshare", "--mount", "--net", *mapped, "chroot", *user, str(tmp_path / "root"), PROGRAM]
    done = subprocess.run([*inside, "run", "--", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "use: launcher install PATH" in done.stderr


def test_the_same_sources_give_the_same_image(digest: str, tmp_path: Path) -> None:
    assert build_launcher(tmp_path / "again.tar") == digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)


def test_it_does_not_say_where_it_was_built(archive: Path, digest: str) -> None:  # noqa: ARG001
    assert str(ROOT).encode() not in archive.read_bytes()


def test_the_dockerfile_says_the_same(archive: Path, digest: str) -> None:
    config, _ = parts(archive, digest)
    text = (LAUNCHER.module / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert last.startswith("scratch\n")
    assert json.loads(re.search("^ENTRYPOINT (.*)$", last, re.MULTILINE)[1]) == config["Entrypoint"]  # type: ignore[index]
    assert f"\nUSER {config['User']}\nWORKDIR {config['WorkingDir']}\n" in last
    assert f'CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "{LAUNCHER.ldflags}" ' in text
    wanted = re.search(r"^go (\d+\.\d+)", (LAUNCHER.module / "go.mod").read_text(), re.MULTILINE)
    assert wanted
    assert f"FROM golang:{wanted[1]} AS build\n" in text
