"""The images of one program each: it needs nothing around it, and they are the same whoever builds them."""

import json
import os
import re
import ssl
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hack.image.static import COMPONENTS, ROOTS, build_static
from hack.install import ROOT
from hack.lab.components import FORWARDER, GATEWAY, LAUNCHER, Component
from hack.lab.images import NOBODY

SAYS = {
    LAUNCHER: (["run", "--", "/launcher"], 2, "use: launcher install PATH"),
    FORWARDER: (["--version"], 0, "microapp-log-forwarder version"),
    GATEWAY: (["--version"], 0, "microapp-log-gateway version"),
}
"""Arguments of each program, its exit status then, and what it says."""


@dataclass(frozen=True)
class Built:
    """An image as it was written."""

    component: Component
    archive: Path
    digest: str

    @property
    def program(self) -> str:
        return f"/{self.component.name}"

    def blob(self, digest: str) -> bytes:
        with tarfile.open(self.archive) as tar:
            content = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert content is not None
            return content.read()

    def parts(self) -> tuple[dict[str, Any], list[str]]:
        """Its configuration, and the digests of its layers."""
        manifest = json.loads(self.blob(self.digest))
        config: dict[str, Any] = json.loads(self.blob(manifest["config"]["digest"]))["config"]
        return config, [layer["digest"] for layer in manifest["layers"]]


@pytest.fixture(scope="module", params=COMPONENTS.values(), ids=COMPONENTS)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    return Built(request.param, archive, build_static(request.param, archive))


@pytest.fixture(scope="module")
def root(image: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file system, as a runtime would lay it out."""
    folder = tmp_path_factory.mktemp("root")
    _, (layer,) = image.parts()
    (folder / "layer.tar").write_bytes(image.blob(layer))
    with tarfile.open(folder / "layer.tar") as tar:
        tar.extractall(folder / "root", filter="tar")
    return folder / "root"


def test_it_holds_one_program_and_for_who_calls_others_whom_to_trust(image: Built, root: Path) -> None:
    files = {f"/{path.relative_to(root)}" for path in root.rglob("*") if not path.is_dir()}
    assert files == {image.program, *([ROOTS] if image.component is GATEWAY else [])}
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_dir()} <= {0o755}


def test_the_program_runs_as_nobody_on_a_root_without_anything(image: Built, root: Path) -> None:
    arguments, status, said = SAYS[image.component]
    mapped, user = ([], [f"--userspec={NOBODY}"]) if os.geteuid() == 0 else (["--map-root-user"], [])
    inside = ["unshare", "--mount", "--net", *mapped, "chroot", *user, str(root), image.program, *arguments]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stderr


def test_the_same_sources_give_the_same_image(image: Built, tmp_path: Path) -> None:
    assert build_static(image.component, tmp_path / "again.tar") == image.digest
    assert re.fullmatch("sha256:[0-9a-f]{64}", image.digest)


def test_it_does_not_say_where_it_was_built(image: Built) -> None:
    assert str(ROOT).encode() not in image.archive.read_bytes()


def test_the_roots_can_be_read_by_anyone_and_are_many(image: Built, root: Path) -> None:
    if image.component is GATEWAY:
        roots = root / ROOTS.lstrip("/")
        assert roots.stat().st_mode & 0o777 == 0o644
        assert ssl.create_default_context(cafile=str(roots)).cert_store_stats()["x509_ca"] > 100


def test_the_dockerfile_says_the_same(image: Built, root: Path) -> None:
    config, _ = image.parts()
    text = (image.component.module / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert last.startswith("scratch\n")
    copied = set(re.findall("^COPY --from=build .* (.*)$", last, re.MULTILINE))
    assert copied == {f"/{path.relative_to(root)}" for path in root.rglob("*") if not path.is_dir()}
    assert json.loads(re.search("^ENTRYPOINT (.*)$", last, re.MULTILINE)[1]) == config["Entrypoint"]  # type: ignore[index]
    assert f"\nUSER {config['User']}\nWORKDIR {config['WorkingDir']}\n" in last
    assert f'CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "{image.component.ldflags}" ' in text
    newest = re.search(r"^go (\d+\.\d+)", (LAUNCHER.module / "go.mod").read_text(), re.MULTILINE)
    assert newest
    assert f"FROM golang:{newest[1]} AS build\n" in text
