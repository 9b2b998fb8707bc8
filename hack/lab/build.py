"""Builds what is missing, once per machine: binaries are cached by the content of their module files."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.lab.components import Component

_NEIGHBOUR = re.compile(r"^replace \S+ => (\.\S+)$", re.MULTILINE)


class LabError(Exception):
    """Something the user can act on; the text says what and how."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"lab: {text}", flush=True)


def cache_dir() -> Path:
    """Where built binaries are kept, per user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "microapp-lab"


def binary(component: Component) -> Path:
    """Where ``component``'s binary is, or will be."""
    return cache_dir() / f"{component.name}-{_key(component)}"


def ensure_built(*components: Component) -> None:
    """Build every one of ``components`` whose binary is missing; LabError with go's own words when one fails."""
    missing = [c for c in components if not binary(c).exists()]
    if not missing:
        return
    if shutil.which("go") is None:
        raise LabError("the Go toolchain is not on PATH; install Go 1.26 or newer to build the lab.")
    for number, component in enumerate(missing, 1):
        with locked(binary(component).with_suffix(".lock"), f"another build of {component.name}"):
            if not binary(component).exists():
                _build(component, f"{number}/{len(missing)}")


def _key(component: Component) -> str:
    digest = hashlib.sha256(f"{component.package} {component.ldflags}".encode())
    modules = (component.module, *_neighbours(component.module))
    for path in (path for module in modules for path in _files(module)):
        if path.exists():  # a module without dependencies has no go.sum
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _neighbours(module: Path) -> list[Path]:
    """Other modules of this repository that ``module`` is built with."""
    return [module / folder for folder in _NEIGHBOUR.findall((module / "go.mod").read_text())]


def _files(module: Path) -> list[Path]:
    return [module / "go.mod", module / "go.sum", *sorted(module.glob("*.go"))]


@contextmanager
def locked(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock ``path``; while another process has it, say that ``holder`` is waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{holder} is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(component: Component, progress: str) -> None:
    target = binary(component)
    partial = target.with_suffix(".partial")
    started = time.monotonic()
    flags = ["-trimpath", "-buildvcs=false"]  # neither folder nor commit: what is built from the same is the same
    command = ["go", "build", *flags, "-ldflags", component.ldflags, "-o", str(partial), component.package]
    with subprocess.Popen(
        command,
        cwd=component.module,
        env={**os.environ, "CGO_ENABLED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        output = _wait(process, f"building {component.name} ({progress})", started)
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-20:])
        raise LabError(f"building {component.name} failed:\n{tail}")
    partial.rename(target)
    say(f"built {component.name} in {time.monotonic() - started:.0f} s")


def _wait(process: "subprocess.Popen[str]", what: str, started: float) -> str:
    """Wait for ``process``, saying every 15 seconds what is being waited for; returns its output."""
    say(f"{what} …")
    while True:
        try:
            output, _ = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            say(f"{what} … {time.monotonic() - started:.0f} s")
            sys.stdout.flush()
        else:
            return output
