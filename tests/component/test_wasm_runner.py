"""The runner as a process, with real modules, over sockets of this machine."""

import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from hack.lab.controlplane import free_ports

from microapp_operator.wasm_runner import CHILDREN, VARIABLE
from microapp_operator.wasm_runner.sandbox import MOST_OUTPUT
from microapp_operator.wasm_runner.serve import MOST_BODY
from microapp_operator.wasm_runner.wire import ModuleConfig, write_config
from tests.support import modules

SOURCE = Path(__file__).parents[2] / "operator" / "src"
MAIN = (
    "import sys; from pathlib import Path; from microapp_operator.wasm_runner.__main__ import main; "
    "sys.exit(main(Path(sys.argv[1]), sys.argv[2]))"
)
MIB = 2**20
Ask = Callable[..., tuple[int, bytes]]


class Runner:
    """One runner, serving on ``port``; what it logs is in ``log``."""

    def __init__(self, folder: Path, wasm: bytes, **config: Any) -> None:
        self.port, self._log = free_ports(1)[0], folder / "log"
        (folder / "image").mkdir()
        (folder / "image" / "app.wasm").write_bytes(wasm)
        wanted = ModuleConfig(
            **{"module": "/app.wasm", "port": self.port, "memory": 16 * MIB, "seconds": 1.0, **config}
        )
        env = {**os.environ, "PYTHONPATH": str(SOURCE), VARIABLE: write_config(wanted), "RUNNERS_OWN": "1"}
        command = [sys.executable, "-P", "-c", MAIN, str(folder / "image"), str(folder / "guest")]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=env, stderr=log)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self) -> "Runner":
        while "serves" not in self.log:
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        return self

    def ask(self, method: str = "GET", target: str = "/", **more: Any) -> http.client.HTTPResponse:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        line.request(method, target, **more)
        return line.getresponse()

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    with ExitStack() as stack:

        def start(wasm: bytes, **config: Any) -> Runner:
            runner = Runner(tmp_path, wasm, **config)
            stack.callback(runner.process.wait)
            stack.callback(runner.process.kill)
            return runner.wait()

        yield start


def test_the_module_answers_with_its_status_headers_and_body(run: Callable[..., Runner]) -> None:
    runner = run(modules.says(r"Status: 201 Created\0d\0aX-Made: here\0d\0a\0d\0a", "hello"))
    answer = runner.ask()
    assert (answer.status, answer.headers["X-Made"], answer.read()) == (201, "here", b"hello")
    assert answer.headers["Content-Length"] == "5"
    head = runner.ask("HEAD")
    assert (head.status, head.headers["Content-Length"], head.read()) == (201, "5", b"")


def test_the_body_is_its_input(run: Callable[..., Runner]) -> None:
    body = os.urandom(MOST_BODY - 1024)
    answer = run(modules.echo()).ask("POST", body=body)
    assert (answer.status, answer.read() == body) == (200, True)


def test_it_sees_the_request_and_what_is_declared_and_nothing_of_the_runner(run: Callable[..., Runner]) -> None:
    runner = run(modules.environment(), environment=(("GREETING", "hi"), ("HTTP_X_FIXED", "mine")))
    headers = {"X-Asked": "yes", "X-Fixed": "forged", "Proxy": "http://evil.example.com", "X_Odd": "1"}
    text = runner.ask("GET", "/a%20b?c=d", headers=headers).read().decode()
    found = dict(pair.split("=", 1) for pair in text.strip("\0").split("\0"))
    assert (found["REQUEST_METHOD"], found["PATH_INFO"], found["QUERY_STRING"]) == ("GET", "/a b", "c=d")
    assert (found["GREETING"], found["HTTP_X_ASKED"], found["HTTP_X_FIXED"]) == ("hi", "yes", "mine")
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert not {"HTTP_PROXY", "HTTP_X_ODD", "RUNNERS_OWN", "PYTHONPATH", VARIABLE} & set(found)


@pytest.mark.parametrize(
    ("wasm", "said"),
    [
        (modules.traps(), "unreachable"),
        (modules.exits(3), "status 3"),
        (modules.floods(), f"more than {MOST_OUTPUT} bytes"),
        (modules.says("no header", ""), "no empty line"),
        (modules.says(r"Status: 99\0a\0a", ""), "no status"),
        (modules.says(r"A: b\0dX-Smuggled: 1\0a\0a", ""), "no header"),
        (modules.assemble("", pages=512), "memory"),
    ],
    ids=["trap", "exit", "flood", "no-head", "bad-status", "smuggled-header", "too-big-at-start"],
)
def test_a_module_that_fails_is_a_bad_gateway_and_its_owner_reads_why(
    run: Callable[..., Runner], wasm: bytes, said: str
) -> None:
    runner = run(wasm)
    for _ in range(2):
        answer = runner.ask(target="/x?token=geheim")
        assert answer.status == 502
        assert said not in answer.read().decode()
    assert said in runner.log
    assert "geheim" not in runner.log


@pytest.mark.parametrize("wasm", [modules.loops(), modules.sleeps()], ids=["loop", "sleep"])
def test_what_does_not_end_is_stopped_at_the_deadline(run: Callable[..., Runner], wasm: bytes) -> None:
    runner = run(wasm)
    for _ in range(3):
        assert runner.ask().status == 504


def test_an_instance_gets_no_more_memory_than_its_share(run: Callable[..., Runner]) -> None:
    answer = run(modules.hoards(), seconds=30.0).ask()
    (pages,) = struct.unpack("<I", answer.read())
    assert pages * 65536 <= 16 * MIB
    assert pages > 200


def test_without_storage_it_opens_no_file_and_never_a_socket(run: Callable[..., Runner]) -> None:
    tried = run(modules.snoop("etc/passwd")).ask().read()
    assert len(tried) == 2 * modules.FDS
    assert 0 not in tried


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("kept", True),
        ("../secret", False),
        ("/etc/passwd", False),
        ("out", False),
        ("../guest/data/kept", False),
    ],
)
def test_of_files_it_sees_its_storage_and_never_leaves_it(
    run: Callable[..., Runner], tmp_path: Path, path: str, opened: bool
) -> None:
    data = tmp_path / "guest" / "data"
    data.mkdir(parents=True)
    (data / "kept").write_text("x")
    (tmp_path / "guest" / "secret").write_text("x")
    (data / "out").symlink_to("/etc/passwd")
    tried = run(modules.snoop(path), folders=("/data",)).ask().read()
    assert (0 in tried[: modules.FDS]) is opened
    assert 0 not in tried[modules.FDS :]


def test_it_reads_its_secrets_as_they_are_now_also_where_they_are_links_of_a_projected_volume(
    run: Callable[..., Runner], tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    (secrets / "..1").mkdir(parents=True)
    (secrets / "..1" / "api").write_text("t0")
    (secrets / "..data").symlink_to("..1")
    (secrets / "api").symlink_to("..data/api")
    runner = run(modules.reads("api"), secrets=str(secrets))
    assert runner.ask().read() == b"t0"
    (secrets / "new").write_text("t1")
    (secrets / "new").rename(secrets / "api")
    assert runner.ask().read() == b"t1"
    assert "t0" not in runner.log


@pytest.mark.parametrize("made", [True, False], ids=["storage", "secrets"])
def test_it_writes_to_its_storage_and_never_to_its_secrets(
    run: Callable[..., Runner], tmp_path: Path, made: bool
) -> None:
    data = tmp_path / "guest" / "data"
    data.mkdir(parents=True)
    config: dict[str, Any] = {"folders": ("/data",)} if made else {"secrets": str(data)}
    tried = run(modules.creates("new"), **config).ask().read()
    assert len(tried) == modules.FDS
    assert (0 in tried) is made
    assert (data / "new").exists() is made


@pytest.mark.parametrize("path", ["../guest/key", "/etc/passwd", "out"])
def test_from_its_secrets_it_gets_nowhere_else(run: Callable[..., Runner], tmp_path: Path, path: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / "key").write_text("x")
    (secrets / "out").symlink_to("/etc/passwd")
    assert 0 not in run(modules.snoop(path), secrets=str(secrets)).ask().read()


def test_while_none_is_delivered_it_runs_without_secrets(run: Callable[..., Runner], tmp_path: Path) -> None:
    answer = run(modules.reads("api"), secrets=str(tmp_path / "nowhere")).ask()
    assert (answer.status, answer.read()) == (200, b"")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (f"Content-Length: {MOST_BODY + 1}", 413),
        (f"Content-Length: {'9' * 4000}", 413),
        ("Content-Length: -1", 400),
        ("Content-Length: 1\r\nContent-Length: 2", 400),
        ("Transfer-Encoding: chunked", 411),
        ("X: " + "x" * 70_000, 431),
        ("\r\n".join(f"X-{n}: 1" for n in range(200)), 431),
    ],
    ids=["huge", "huger", "negative", "two-lengths", "chunked", "long-header", "many-headers"],
)
def test_a_request_that_is_too_much_or_ambiguous_never_reaches_the_module(
    run: Callable[..., Runner], lines: str, status: int
) -> None:
    runner = run(modules.traps())
    with closing(runner.raw()) as line:
        line.sendall(f"POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n".encode())
        assert line.makefile("rb").readline().split()[1] == str(status).encode()
    assert "trapped" not in runner.log


def test_a_path_that_no_variable_can_hold_is_refused(run: Callable[..., Runner]) -> None:
    runner = run(modules.environment())
    assert runner.ask(target="/a%00b").status == 400
    assert runner.ask(target="//[").status in (200, 400)


def test_slow_callers_are_dropped_and_keep_nobody_out_for_long(run: Callable[..., Runner]) -> None:
    runner = run(modules.says(r"A: b\0a\0a", "hello"))
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(runner.raw())) for _ in range(2 * CHILDREN)]
        for line in slow[::2]:
            line.sendall(b"GET / HTT")
        for line in slow[1::2]:
            line.sendall(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        assert runner.ask().read() == b"hello"
        for line in slow[::2]:
            assert line.recv(100) == b""
        for line in slow[1::2]:
            assert line.recv(100).startswith(b"HTTP/1.1 408")


def test_many_requests_at_once_get_their_own_answers(run: Callable[..., Runner]) -> None:
    runner = run(modules.echo(), seconds=30.0)

    def ask(number: int) -> bool:
        body = str(number).encode() * 100
        return runner.ask("POST", body=body).read() == body

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(100)))


def test_one_request_that_hangs_leaves_the_next_its_turn(run: Callable[..., Runner]) -> None:
    """The module waits for as long as the body's first byte says: there are two slots, and one is free."""
    wait = "(i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 1))"
    read = "(drop (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))"
    hang = "(if (i32.load (i32.const 24)) (then (loop $for_ever (br $for_ever))))"
    answers = "(call $out (i32.const 64) (i32.const 6))"
    runner = run(modules.assemble(f"{wait} {read} {hang} {answers}", head=r"A: b\0a\0a"), seconds=20.0)
    with closing(runner.raw()) as hung:
        hung.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        assert runner.ask().status == 200
        hung.setblocking(False)
        with pytest.raises(BlockingIOError):
            hung.recv(1)


@pytest.mark.parametrize(
    ("wasm", "said"),
    [
        (b"(module)", "no WebAssembly module"),
        (b"\0asm\x0d\0\x01\0", "no WebAssembly module"),
        (bytes(wasmtime.wat2wasm("(module)")), "no _start"),
        (bytes(wasmtime.wat2wasm('(module (import "env" "x" (func)) (func (export "_start")))')), "env"),
    ],
    ids=["text", "component", "library", "unknown-import"],
)
def test_what_is_no_command_is_said_at_the_start(tmp_path: Path, wasm: bytes, said: str) -> None:
    runner = Runner(tmp_path, wasm)
    assert runner.process.wait(timeout=60) == 2
    assert said in runner.log


def test_an_image_without_the_module_says_how_to_name_it(tmp_path: Path) -> None:
    runner = Runner(tmp_path, b"", module="/missing.wasm")
    assert runner.process.wait(timeout=60) == 2
    assert "/missing.wasm" in runner.log
    assert "spec.runtime.command" in runner.log


def test_it_ends_when_it_is_asked_to(run: Callable[..., Runner]) -> None:
    runner = run(modules.echo())
    assert runner.ask().status == 200
    runner.process.send_signal(signal.SIGTERM)
    assert runner.process.wait(timeout=60) == 0
