"""The launcher sets variables from files, becomes the app, and never shows a value."""

import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "launcher"


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built as its image is."""
    target = tmp_path_factory.mktemp("launcher") / "launcher"
    command = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), "."]
    subprocess.run(command, cwd=SOURCE, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    return target


def run(launcher: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run([str(launcher), *arguments], capture_output=True, text=True, check=False, env=env)


def test_the_app_finds_the_value_in_its_variable_and_is_the_same_process(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\nline")
    command = ("run", "--env", f"TOKEN={tmp_path}/token", "--", "/bin/sh", "-c", 'printf "%s|%s|%s" "$TOKEN" "$1" $$')
    with subprocess.Popen(
        [str(launcher), *command, "sh", "a b"], stdout=subprocess.PIPE, text=True, env={"TOKEN": "old"}
    ) as process:
        assert process.communicate()[0] == f"s3cret\nline|a b|{process.pid}"


def test_it_can_be_copied_into_a_volume_and_runs_from_there(launcher: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run(launcher, "install", str(copy)).returncode == 0
    assert copy.stat().st_mode & 0o777 == 0o555
    assert run(copy, "run", "--", "true").returncode == 0


def test_the_apps_exit_status_is_its_own(launcher: Path) -> None:
    assert run(launcher, "run", "--", "sh", "-c", "exit 42").returncode == 42


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "use:"),
        (("run",), 2, "comes after --"),
        (("run", "true"), 2, "comes after --"),
        (("run", "--"), 2, "comes after --"),
        (("run", "--env", "TOKEN", "--", "true"), 2, "NAME=FILE"),
        (("run", "--env", "TOKEN=/nowhere", "--", "true"), 126, "variable TOKEN: open /nowhere"),
        (("run", "--", "nosuchprogram"), 127, "nosuchprogram"),
        (("install", "/nowhere/x"), 1, "/nowhere/x"),
    ],
)
def test_what_is_wrong_is_said(launcher: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = run(launcher, *arguments)
    assert done.returncode == status
    assert words in done.stderr


def test_a_value_that_fits_no_variable_is_refused_without_showing_it(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3cret\0more")
    done = run(launcher, "run", "--env", f"TOKEN={tmp_path}/token", "--", "true")
    assert done.returncode == 126
    assert "NUL" in done.stderr
    assert "s3cret" not in done.stderr
