"""The image, looked into and run as Kubernetes runs it: another user, a root nothing can be written to."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hack.image import build, recipe
from hack.image.build import Image, build_image, unpack_image
from hack.install import ROOT

HOME = recipe.HOME.strip("/")
FORBIDDEN = (
    "gcc",
    "cc",
    "g++",
    "ld",
    "as",
    "make",
    "pip",
    "pip3",
    "apt",
    "apt-get",
    "curl",
    "wget",
    "git",
)


@pytest.fixture(scope="module")
def image() -> Image:
    return build_image()


@pytest.fixture(scope="module")
def root(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("image") / "root"
    unpack_image(image.archive, root)
    return root


INSIDE = f"""
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
exec chroot --userspec={recipe.USER} "$0" "$@"
"""


def run(root: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """``command`` inside, as the image's user, on a read-only root, in namespaces that end with it."""
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    line = ["unshare", "--mount", "--net", *mapped, "sh", "-euc", INSIDE, str(root), *command]
    environment = {**recipe.ENVIRONMENT, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


def python(root: Path, code: str) -> str:
    done = run(root, "python3", "-P", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_runs_as_another_user_on_a_read_only_root(root: Path) -> None:
    said = run(root, *recipe.ENTRYPOINT, "--help")
    assert said.returncode == 0, said.stderr
    assert {"run", "webhook", "tiers", "check"} <= set(re.findall(r"\w+", said.stdout))
    where = "import os; print(os.getuid(), os.access('/', os.W_OK), os.access('/opt/microapp-operator', os.W_OK))"
    assert python(root, where) == "65532 False False"


def test_it_knows_its_version_and_has_the_rules(root: Path, image: Image) -> None:
    assert python(root, "from importlib.metadata import version; print(version('microapp-operator'))") == image.version
    engine = "from microapp_operator.adapters.rego import RegoEngine, packaged_bundle"
    assert int(python(root, f"{engine}; print(len(RegoEngine(packaged_bundle()).rules))")) > 40


def test_everything_it_imports_was_compiled_beforehand(root: Path) -> None:
    loaded = "[m.__cached__ for m in list(sys.modules.values()) if getattr(m, '__cached__', None)]"
    imports = f"import sys, microapp_operator.__main__; print(*{loaded}, sep=chr(10))"
    for cached in python(root, imports).splitlines():
        head = (root / cached.lstrip("/")).read_bytes()[:8]
        assert head[4:] == b"\x01\0\0\0", f"{cached} is checked by time or by source"
    assert python(root, "from importlib.util import MAGIC_NUMBER as m; print(m.hex())") == head[:4].hex()


def test_nothing_in_it_builds_or_fetches_anything(root: Path) -> None:
    programs = {p.name for folder in ("usr/bin", "usr/sbin", "usr/local/bin") for p in (root / folder).glob("*")}
    assert programs.isdisjoint(FORBIDDEN)
    for module in ("pip", "setuptools", "ensurepip"):
        assert run(root, "python3", "-P", "-c", f"import {module}").returncode != 0
    assert not list(root.glob("root/.cache")) + list(root.glob(f"{HOME}/bin"))


def places() -> Iterator[str]:
    """Names of this machine and of where it gets packages from."""
    yield str(ROOT)
    if len(name := socket.gethostname()) > 4:
        yield name
    listed = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    yield from re.findall(r"://(?:[^/@\s]*@)?([^/\s']+)", listed)


def test_nothing_in_it_says_where_it_was_built_or_its_packages_came_from(root: Path) -> None:
    for name in (
        "etc/apt",
        "etc/pip.conf",
        "etc/hostname",
        "etc/resolv.conf",
        "var/lib/apt",
        "root/.config",
        "root/.pip",
    ):
        found = root / name
        assert not found.exists() or not any(found.iterdir()), name
    assert not list(root.rglob("direct_url.json"))
    needles = [place.encode() for place in places()] + [b"index-url"]
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert [n for n in needles if n in content] == [], path
            assert recipe.HOME not in f"/{path.relative_to(root)}" or b"/tmp/tmp" not in content, path


def test_the_same_sources_give_the_same_image(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = json.loads(build._run("skopeo", "inspect", "--raw", f"oci-archive:{image.archive}"))["annotations"]
    when = tuple(notes[f"org.opencontainers.image.{name}"] for name in ("created", "revision"))
    monkeypatch.setattr(build, "_revision", lambda: when)
    base, wheels = (build.cache_dir() / "images" / f"{name}-{build._keys()[name]}.tar" for name in ("base", "wheels"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    build._make_code(base, tmp_path / "code.tar", scratch)
    build._assemble([base, wheels, tmp_path / "code.tar"], tmp_path / "again.tar")
    assert build._describe(tmp_path / "again.tar").digest == image.digest


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(build.LabError, match="apt-get install mmdebstrap umoci skopeo"):
        build._need_tools()


def test_it_says_what_it_is(image: Image) -> None:
    config = json.loads(build._run("skopeo", "inspect", "--config", f"oci-archive:{image.archive}"))
    assert config["config"]["User"] == recipe.USER
    assert config["config"]["Entrypoint"] == list(recipe.ENTRYPOINT)
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == image.version
    assert labels["org.opencontainers.image.created"] == config["created"]
    manifest = json.loads(build._run("skopeo", "inspect", "--raw", f"oci-archive:{image.archive}"))
    assert manifest["annotations"] == labels


def test_it_is_small_enough_to_pull(image: Image) -> None:
    assert image.compressed <= 120 * 2**20


def test_the_dockerfile_says_the_same() -> None:
    text = (ROOT / "Dockerfile").read_text()
    last = text.rpartition("\nFROM ")[2]
    assert last.startswith(f"debian:{recipe.SUITE}-slim\n")
    assert f"--no-install-recommends {' '.join(recipe.PACKAGES)} " in last
    assert json.loads(re.search("^ENTRYPOINT (.*)$", last, re.MULTILINE)[1]) == list(recipe.ENTRYPOINT)  # type: ignore[index]
    assert f"\nUSER {recipe.USER}\n" in last
    assert f"\nWORKDIR {recipe.HOME}\n" in last
    environment = re.search("^ENV (.*)$", last, re.MULTILINE)
    assert environment
    assert dict(e.split("=", 1) for e in environment[1].split()) == recipe.ENVIRONMENT
    assert f"org.opencontainers.image.version={build._version()}" in last
    assert f'org.opencontainers.image.description="{recipe.DESCRIPTION}"' in last
