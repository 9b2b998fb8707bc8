"""``python -m microapp_operator validate`` as a process: how it ends, what it reads and writes, what it costs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.samples import app_manifest

ROOT = Path(__file__).parents[2]
REGISTRY = "registries: [registry.example.com/]"


def run(
    *arguments: str | Path, stdin: bytes = b"", folder: Path = ROOT, interpreter: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *(interpreter or ("-m", "microapp_operator")), "validate", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator" / "src")}
    return subprocess.run(command, input=stdin, cwd=folder, env=environment, capture_output=True, check=False)


def said(done: subprocess.CompletedProcess[bytes], status: int) -> str:
    assert done.returncode == status, (done.returncode, done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode()


def document(done: subprocess.CompletedProcess[bytes], status: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(done, status))
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(REGISTRY)
    return path


def write(folder: Path, name: str, *manifests: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump_all(manifests))
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("examples/01-low.yaml",), 0, "MicroApp marketing/lunch-poll: fine"),
        (("examples/04-breaks-its-tier.yaml",), 1, "[MA-TIR-002] spec.runtime.replicas: 4 asked"),
        (("nowhere.yaml",), 2, "unreadable: nowhere.yaml: can't be read: No such file or directory."),
        (("-",), 2, "unreadable: -: holds no object to judge."),
        ((), 2, ""),
        (("examples", "--bundle", "README.md"), 3, ""),
    ],
    ids=["fine", "denied", "unreadable", "empty stdin", "wrong use", "no answer"],
)
def test_the_exit_status_tells_the_four_ways_it_can_end(arguments: tuple[str, ...], status: int, words: str) -> None:
    done = run(*arguments)
    assert words in said(done, status)
    assert b"Traceback" not in done.stderr
    assert done.stdout or done.stderr


def test_the_folder_of_examples_ends_with_the_counts(settings: Path) -> None:
    text = said(run("examples", "--settings", settings), 1)
    assert text.endswith("12 objects: 7 fine, 1 denied, 1 would not run, 2 waiting for approval, 3 not judged.\n")


def test_standard_input_is_judged_in_the_namespace_that_is_named(settings: Path) -> None:
    app = app_manifest()
    placed = document(run("-", "--settings", settings, "--output=json", stdin=json.dumps(app).encode()), 0)
    del app["metadata"]["namespace"]
    arguments = ("-", "--settings", settings, "--output=json", "-n", "finance")
    named = document(run(*arguments, stdin=json.dumps(app).encode()), 0)
    assert named["objects"][0]["fingerprint"] == placed["objects"][0]["fingerprint"] != ""
    assert named["objects"][0]["namespace"] == "finance"


def test_a_reader_that_stops_early_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", *(app_manifest(f"a{n}", runtime={"replicas": 9}) for n in range(200)))
    command = f"{sys.executable} -m microapp_operator validate {tmp_path} | head -1; echo ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator" / "src")}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1"
    assert done.stderr == ""


def test_validating_imports_no_client_and_no_kopf() -> None:
    code = (
        "import sys; from microapp_operator.__main__ import main; main(sys.argv[1:]); "
        "print({'kopf', 'kubernetes', 'aiohttp', 'hvac', 'uvloop'} & set(sys.modules), file=sys.stderr)"
    )
    done = run("examples/01-low.yaml", interpreter=("-c", code))
    assert done.stderr.decode().strip() == "set()"
