"""Images built without Docker: the same from the same files, and an archive that is none is refused."""

import json
import tarfile
from pathlib import Path

import pytest
from hack.lab.build import LabError
from hack.lab.images import Registry, build_archive


def build(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    binary, note = folder / "app", folder / "note"
    binary.write_bytes(content)
    binary.chmod(0o700)
    note.touch(0o600)
    build_archive(folder / "image.tar", {"/app": binary, "/etc/app/note": note}, ["/app", "serve"])
    return folder / "image.tar"


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (build(tmp_path / name, b"program").read_bytes() for name in ("one", "two"))
    assert first == second
    assert build(tmp_path / "three", b"another").read_bytes() != first


def test_the_image_runs_its_command_as_nobody_and_holds_only_its_files(tmp_path: Path) -> None:
    with tarfile.open(build(tmp_path / "one", b"program")) as tar:

        def blob(digest: str) -> bytes:
            member = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert member is not None
            return member.read()

        index = tar.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))["config"]
        assert (config["Entrypoint"], config["User"]) == (["/app", "serve"], "65532:65532")
        (tmp_path / "layer.tar").write_bytes(blob(manifest["layers"][0]["digest"]))
    with tarfile.open(tmp_path / "layer.tar") as layer:
        assert [(entry.name, entry.mode, entry.mtime) for entry in layer] == [
            ("etc", 0o755, 0),
            ("etc/app", 0o755, 0),
            ("app", 0o755, 0),
            ("etc/app/note", 0o644, 0),
        ]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "image.tar"
    damaged.write_bytes(b"not a tar")
    with pytest.raises(LabError, match="is not an OCI archive"):
        Registry("registry.example.com", "127.0.0.1:1").push(damaged, "app")


def test_a_registry_that_is_gone_is_said(tmp_path: Path) -> None:
    archive = build(tmp_path / "one", b"program")
    with pytest.raises(LabError, match=r"127\.0\.0\.1:1 doesn't answer"):
        Registry("registry.example.com", "127.0.0.1:1").push(archive, "app")
