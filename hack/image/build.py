"""Builds the image, layer by layer: Debian with Python, the locked wheels, our own code. Each is cached by content."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hack.image import layers, recipe
from hack.install import ROOT
from hack.lab.build import LabError, cache_dir, locked, say

LOCK = ROOT / "requirements-runtime.lock"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "operator/src")
_RECIPE = Path(__file__).parent


@dataclass(frozen=True)
class Image:
    """A built image. digest: of its manifest. compressed, unpacked: bytes."""

    archive: Path
    digest: str
    version: str
    compressed: int
    unpacked: int


def build_image() -> Image:
    """The image of this checkout, from the cache where it is; LabError says what is missing or failed."""
    keys = _keys()
    folder = cache_dir() / "images"
    archive = folder / f"{keys['image']}.tar"
    with locked(folder / "lock", "another build of the image"):
        if not archive.exists():
            _need_tools()
            base = _layer(folder / f"base-{keys['base']}.tar", "Debian with Python", _make_base)
            wheels = _layer(folder / f"wheels-{keys['wheels']}.tar", "the wheels", partial(_make_wheels, base))
            code = _layer(folder / f"code-{keys['code']}.tar", "the code", partial(_make_code, base))
            _assemble([base, wheels, code], archive)
    return _describe(archive)


def _keys() -> dict[str, str]:
    """Per stage, a digest of all that goes into it."""
    machine = f"{recipe.SUITE} {recipe.PYTHON} {platform.machine()}"
    base = _digest(machine.encode(), *(part.encode() for part in (*recipe.BASE, *recipe.LEFT_OUT)))
    how = _digest(base.encode(), *(path.read_bytes() for path in sorted(_RECIPE.glob("*.py"))))
    wheels = _digest(base.encode(), LOCK.read_bytes())
    code = _digest(
        base.encode(), *(part for path in _source_files() for part in (str(path).encode(), path.read_bytes()))
    )
    created, revision = _revision()
    image = _digest(how.encode(), wheels.encode(), code.encode(), created.encode(), revision.encode())
    return {"base": base, "wheels": wheels, "code": code, "image": image}


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:16]


def _source_files() -> list[Path]:
    """What is under version control, or would be, of the package."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in sorted(listed) if name and (ROOT / name).is_file()]


def _revision() -> tuple[str, str]:
    """(RFC 3339 time, commit) of the last change of what goes in; SOURCE_DATE_EPOCH overrides the time."""
    inputs = (*SOURCES, LOCK.name, "hack/image")
    command = ["git", "log", "-1", "--format=%ct %H", "--", *inputs]
    seconds, _, commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.partition(
        " "
    )
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--", *inputs], cwd=ROOT, capture_output=True, text=True, check=True
    )
    when = os.environ.get("SOURCE_DATE_EPOCH") or seconds or "0"
    stamp = subprocess.run(
        ["date", "-u", f"-d@{int(when)}", "+%Y-%m-%dT%H:%M:%SZ"], capture_output=True, text=True, check=True
    )
    return stamp.stdout.strip(), f"{commit.strip()}{'-dirty' if dirty.stdout.strip() else ''}"


def _need_tools() -> None:
    missing = [tool for tool in recipe.TOOLS if shutil.which(tool) is None]
    if missing:
        packages = " ".join(missing)
        raise LabError(f"the image is built with Debian's {packages}: apt-get install {packages}. Or: docker build .")


def _layer(target: Path, what: str, make: Callable[[Path, Path], None]) -> Path:
    """``target``, made if it isn't there: ``make(partial file, scratch folder)``."""
    if not target.exists():
        say(f"image: {what} …")
        with tempfile.TemporaryDirectory() as scratch:
            partial_file = target.with_suffix(".partial")
            make(partial_file, Path(scratch))
            partial_file.rename(target)
    return target


def _make_base(target: Path, scratch: Path) -> None:
    """Debian's essential packages and Python, its library compiled."""
    _run(*recipe.BASE, str(scratch / "root.tar"))
    layers.filter_base(scratch / "root.tar", target)


def _make_wheels(base: Path, target: Path, scratch: Path) -> None:
    """What the lock lists, as wheels for the image's Python, whatever Python runs this."""
    home = scratch / "home"
    machine = platform.machine()
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (36, 35, 34, 31, 28, 17)]
    _pip(
        "install",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        f"--python-version={recipe.PYTHON}",
        "--implementation=cp",
        *platforms,
        f"--platform=manylinux2014_{machine}",
        f"--target={home}",
        f"--requirement={LOCK}",
    )
    shutil.rmtree(home / "bin", ignore_errors=True)  # scripts that name the Python of this machine
    _compile(base, home, scratch)
    layers.pack(home, target, recipe.HOME)


def _make_code(base: Path, target: Path, scratch: Path) -> None:
    """Our own package, from a wheel that nothing but its sources went into."""
    tree, home = scratch / "tree", scratch / "home"
    for path in _source_files():
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    _pip("wheel", "--no-deps", f"--wheel-dir={scratch}", str(tree))
    (wheel,) = scratch.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(home)
    _compile(base, home, scratch)
    layers.pack(home, target, recipe.HOME)


def _compile(base: Path, home: Path, scratch: Path) -> None:
    """Bytecode for ``home`` by the image's own Python: a read-only root could never keep any."""
    root = scratch / "root"
    layers.unpack([base], root)
    place = root / recipe.HOME.strip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    home.rename(place)
    inside = ("chroot", str(root), *recipe.COMPILE, recipe.HOME)
    _run(*(() if os.geteuid() == 0 else ("unshare", "--map-root-user")), *inside)
    place.rename(home)


def _assemble(parts: list[Path], archive: Path) -> None:
    created, revision = _revision()
    version = _version()
    with tempfile.TemporaryDirectory() as scratch:
        layout = Path(scratch) / "layout"
        image = f"{layout}:{version}"
        _run("umoci", "init", "--layout", str(layout))
        _run("umoci", "new", "--image", image)
        for part, what in zip(parts, ("Debian with Python", "locked wheels", "microapp-operator"), strict=True):
            history = (f"--history.created={created}", f"--history.created_by={what}")
            _run("umoci", "raw", "add-layer", "--image", image, *history, str(part))
        _run("umoci", "config", "--image", image, *_configuration(version, created, revision))
        _run("umoci", "gc", "--layout", str(layout))
        partial_file = archive.with_suffix(".partial")
        partial_file.unlink(missing_ok=True)
        _run("skopeo", "copy", "--quiet", f"oci:{image}", f"oci-archive:{partial_file}:{recipe.TITLE}:{version}")
        partial_file.rename(archive)


def _configuration(version: str, created: str, revision: str) -> list[str]:
    notes = {
        "title": recipe.TITLE,
        "description": recipe.DESCRIPTION,
        "licenses": recipe.LICENSE,
        "version": version,
        "revision": revision,
        "created": created,
    }
    flags = [
        f"--config.user={recipe.USER}",
        f"--config.workingdir={recipe.HOME}",
        f"--created={created}",
        "--no-history",
    ]
    flags += [f"--config.entrypoint={word}" for word in recipe.ENTRYPOINT]
    flags += [f"--config.env={name}={value}" for name, value in recipe.ENVIRONMENT.items()]
    for name, value in notes.items():
        flags += [f"--manifest.annotation=org.opencontainers.image.{name}={value}"]
        flags += [f"--config.label=org.opencontainers.image.{name}={value}"]
    return flags


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def _describe(archive: Path) -> Image:
    raw = _run("skopeo", "inspect", "--raw", f"oci-archive:{archive}")
    manifest = json.loads(raw)
    note = archive.with_suffix(".json")
    if not note.exists():
        with tempfile.TemporaryDirectory() as scratch:
            unpack_image(archive, Path(scratch) / "root")
            size = sum(p.lstat().st_size for p in Path(scratch).rglob("*") if p.is_file() and not p.is_symlink())
        note.write_text(json.dumps({"unpacked": size}))
    return Image(
        archive,
        f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}",
        manifest["annotations"]["org.opencontainers.image.version"],
        sum(layer["size"] for layer in manifest["layers"]),
        json.loads(note.read_text())["unpacked"],
    )


def unpack_image(archive: Path, root: Path) -> None:
    """The file system of the image, as a runtime would lay it out."""
    with tempfile.TemporaryDirectory() as scratch:
        layout = Path(scratch) / "layout"
        _run("skopeo", "copy", "--quiet", f"oci-archive:{archive}", f"oci:{layout}:image")
        blobs = layout / "blobs" / "sha256"
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_text())
        layers.unpack((blobs / layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]), root)


def _pip(*arguments: str) -> None:
    _run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).splitlines()[-15:])
        raise LabError(f"{Path(command[0]).name} {command[1]} failed:\n{tail}")
    return done.stdout
