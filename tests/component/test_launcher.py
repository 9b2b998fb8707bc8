"""The launcher sets variables from files, becomes the app, and never shows a value."""

import signal
import subprocess
from pathlib import Path

import pytest
from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER


@pytest.fixture(scope="session")
def launcher() -> Path:
    """The program, as it is in its image."""
    ensure_built(LAUNCHER)
    return binary(LAUNCHER)


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE])
def test_signals_do_to_the_app_what_they_do_without_a_launcher(launcher: Path, number: signal.Signals) -> None:
    """Some shells start what runs in the background with signals ignored, which is inherited: so both are asked."""
    command = ("sh", "-c", f"kill -{number} $$; echo on")
    bare = subprocess.run(command, capture_output=True, check=False)
    assert run(launcher, "run", "--", *command).returncode == bare.returncode


def test_any_bytes_but_nul_arrive_as_they_are(launcher: Path, tmp_path: Path) -> None:
    value = bytes(range(1, 256))
    (tmp_path / "token").write_bytes(value)
    command = [str(launcher), "run", "--env", f"TOKEN={tmp_path}/token", "--", "/usr/bin/env", "-0"]
    done = subprocess.run(command, capture_output=True, check=True, env={})
    assert done.stdout == b"TOKEN=" + value + b"\0"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "use:"),
        (("run",), 2, "comes after --"),
        (("run", "true"), 2, "comes after --"),
        (("run", "--"), 2, "comes after --"),
        (("run", "--env", "TOKEN", "--", "true"), 2, "NAME=FILE"),
        (("run", "--env", "TOKEN=/nowhere", "--", "true"), 126, "variable TOKEN: open /nowhere"),
        (("run", "--env", "TOKEN=/", "--", "true"), 126, "variable TOKEN: read /: is a directory"),
        (("run", "--env", "TOKEN=", "--", "true"), 2, "NAME=FILE"),
        (("run", "--env", "=/etc/hostname", "--", "true"), 2, "NAME=FILE"),
        (("run", "--", "nosuchprogram"), 127, "nosuchprogram"),
        (("run", "--", "/nowhere/program"), 127, "/nowhere/program"),
        (("run", "--", "/etc/passwd"), 126, "/etc/passwd"),
        (("run", "--", "/"), 126, "/"),
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


def test_a_value_that_is_too_long_is_refused_without_showing_it(launcher: Path, tmp_path: Path) -> None:
    """One variable may have 32 pages (execve(2), MAX_ARG_STRLEN); pages have up to 64 KiB."""
    (tmp_path / "token").write_text("s3cret" * 400_000)
    done = run(launcher, "run", "--env", f"TOKEN={tmp_path}/token", "--", "true")
    assert done.returncode == 126
    assert "argument list too long" in done.stderr
    assert "s3cret" not in done.stderr


def test_what_no_kernel_runs_is_named(launcher: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\0no program")
    program.chmod(0o755)
    done = run(launcher, "run", "--", str(program))
    assert done.returncode == 126
    assert f"{program} can't be run: exec format error" in done.stderr


ROUTES = [
    pytest.param(("server", "a b"), "bin/server", {"PATH": "/nowhere:{folder}/bin"}, id="by PATH"),
    pytest.param(("./bin/server", "a b"), "bin/server", {"PATH": "/nowhere"}, id="from the working directory"),
    pytest.param(("bin/server", "a b"), "bin/server", {"PATH": "/nowhere"}, id="below the working directory"),
    pytest.param(("{folder}/bin/server", "a b"), "bin/server", {}, id="by its path, without PATH"),
]


@pytest.mark.parametrize("forwarding", [False, True])
@pytest.mark.parametrize(("command", "script", "environment"), ROUTES)
def test_a_program_is_found_as_a_container_runtime_finds_it(
    launcher: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    script: str,
    environment: dict[str, str],
    *,
    forwarding: bool,
) -> None:
    """By the PATH and the working directory of the container, which the launcher shares with it."""
    program = tmp_path / script
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s|" "$@" "$PWD"\nexit 7\n')
    program.chmod(0o755)
    (tmp_path / "spool").mkdir()
    words = [word.format(folder=tmp_path) for word in command]
    env = {name: value.format(folder=tmp_path) for name, value in environment.items()}
    options = ("--forward", "http://127.0.0.1:1/v1/logs", "--spool", str(tmp_path / "spool"), "--drain", "0")
    started = [str(launcher), "run", *(options if forwarding else ()), "--", *words]
    done = subprocess.run(started, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (7, f"a b|{tmp_path}|"), done.stderr
