"""The examples without an SDK, run for real: an app calls another, and one trace goes through both."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hack.lab.controlplane import free_ports

from microapp_operator.cli.records import read_record
from tests.support.eventually import eventually

EXAMPLES = Path(__file__).parents[2] / "examples" / "logging"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
Run = Callable[..., "App"]


@dataclass
class App:
    """A running example. log: what it writes."""

    port: int
    log: Path

    def get(self, path: str = "/", **headers: str) -> int:
        """The status of its answer to one request."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def listens(self) -> bool:
        try:
            self.get()
        except OSError:
            return False
        return True

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def ask(self, path: str = "/", **headers: str) -> tuple[int, dict[str, Any]]:
        """(status, the record it wrote of it)."""
        before = len(self.records())
        status = self.get(path, **headers)
        eventually(lambda: len(self.records()), before + 1)
        return status, self.records()[-1]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """How each is run."""
    program = tmp_path_factory.mktemp("go") / "app"
    subprocess.run(["go", "build", "-o", program, EXAMPLES / "app.go"], check=True)
    return {
        "python": [sys.executable, str(EXAMPLES / "app.py")],
        "go": [str(program)],
        "javascript": ["node", str(EXAMPLES / "app.js")],
    }


@pytest.fixture
def run(commands: dict[str, list[str]], tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as stack:

        def start(language: str, downstream: str = "") -> App:
            if language == "javascript" and shutil.which("node") is None:
                pytest.skip("the JavaScript example isn't run: node is not on PATH")
            (port,) = free_ports(1)
            app = App(port, tmp_path / f"{port}.log")
            environment = {**os.environ, "PORT": str(port), "DOWNSTREAM": downstream}
            output = stack.enter_context(app.log.open("wb"))
            process = stack.enter_context(subprocess.Popen(commands[language], stdout=output, env=environment))
            stack.callback(process.kill)
            eventually(app.listens)
            return app

        yield start


@pytest.mark.parametrize("language", ["python", "go", "javascript"])
def test_one_request_is_one_trace_through_two_apps(run: Run, language: str) -> None:
    second = run("python")
    first = run(language, f"http://127.0.0.1:{second.port}/expenses")
    status, record = first.ask("/form?card=4111", traceparent=f"00-{TRACE}-{SPAN}-01", **{"x-user": "alice"})
    assert status == 200
    called = second.records()[-1]
    formed = [read_record(json.dumps(each).encode(), 1) for each in (record, called)]
    assert [each.trace for each in formed] == [TRACE, TRACE]
    assert len({SPAN, *(each["traceparent"].split("-")[2] for each in (record, called))}) == 3
    assert formed[0].fields == {"user_id": "alice", "action": "read", "resource": "/form", "outcome": "success"}
    assert formed[1].fields == {"user_id": "anonymous", "action": "read", "resource": "/expenses", "outcome": "success"}
    assert all(each.time > 1 for each in formed)


@pytest.mark.parametrize("language", ["python", "go", "javascript"])
def test_a_trace_that_is_none_is_replaced_and_one_that_is_goes_on(run: Run, language: str) -> None:
    app = run(language)
    for forged in (
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
        "",
    ):
        _, record = app.ask(traceparent=forged)
        version, trace, span, flags = record["traceparent"].split("-")
        assert read_record(json.dumps(record).encode(), 1).trace == trace != TRACE
        assert (version, span == SPAN, flags) == ("00", False, "01")
    for sound, flags in (("00-{}-{}-00", "00"), ("00-{}-{}-ff", "01"), ("cc-{}-{}-03-more", "01")):
        _, record = app.ask(traceparent=sound.format(TRACE, SPAN))
        assert record["traceparent"].startswith(f"00-{TRACE}-")
        assert record["traceparent"].endswith(f"-{flags}")


@pytest.mark.parametrize("language", ["python", "go", "javascript"])
def test_what_went_wrong_downstream_is_in_the_record(run: Run, language: str) -> None:
    (nobody,) = free_ports(1)
    app = run(language, f"http://127.0.0.1:{nobody}/")
    status, record = app.ask()
    assert (status, record["outcome"]) == (502, "failure")
