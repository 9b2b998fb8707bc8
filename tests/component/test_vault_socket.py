"""Vault's audit log over a socket: whatever connections do, each entry is told of once and memory stays bounded."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from microapp_operator.__main__ import main
from microapp_operator.adapters.http import ListenError
from microapp_operator.adapters.vaultlog import Reader
from microapp_operator.adapters.vaultsocket import Address, listening, serve
from microapp_operator.vaultlog import Transformer
from microapp_operator.vaultlog.transform import LONGEST
from tests.support.eventually import eventually
from tests.unit.test_vaultlog import line

MANY = 40
"""Connections, more than are served at once."""


@dataclass
class Served:
    """A reader that listens, and what it has told."""

    server: socket.socket
    reader: Reader
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def malformed(self) -> int:
        return self.reader.transformer.malformed

    def connect(self) -> socket.socket:
        client = socket.socket(self.server.family)
        client.connect(self.server.getsockname())
        return client

    def say(self, *parts: bytes) -> None:
        """All of it over a connection of its own."""
        with self.connect() as client:
            client.sendall(b"".join(parts))

    def ids(self) -> list[str]:
        return sorted(event["request_id"] for event in self.told)


@contextmanager
def served(address: Address) -> Iterator[Served]:
    """Stopped at the end, when all is told."""
    told: list[dict[str, Any]] = []
    reader = Reader(Transformer(lambda *_: None), lambda b: told.extend(map(json.loads, b.splitlines())))
    with listening(address) as server:
        thread = threading.Thread(target=serve, args=(reader, server))
        thread.start()
        try:
            yield Served(server, reader, told)
        finally:
            reader.stop.set()
            thread.join()


@pytest.fixture(params=["path", "port"])
def vault_side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "audit.sock" if request.param == "path" else ("127.0.0.1", 0)) as found:
        yield found


def ended(request_id: str = "r1", **changes: Any) -> bytes:
    return line("response", request_id, **changes) + b"\n"


def begun(request_id: str = "r1") -> bytes:
    return line("request", request_id) + b"\n"


def test_a_request_and_its_response_are_one_event_over_whichever_connections(vault_side: Served) -> None:
    vault_side.say(begun("a"))
    vault_side.say(begun("b"), ended("b"))
    vault_side.say(ended("a"))
    eventually(vault_side.ids, ["a", "b"])


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("at", [1, 40, -2])
def test_a_line_that_is_cut_off_is_counted_and_glued_to_nothing(at: int, reset: bool) -> None:
    with served(("127.0.0.1", 0)) as vault_side:
        client = vault_side.connect()
        client.sendall(begun() + ended()[:at])
        eventually(lambda: vault_side.reader.transformer.lines, 1)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        eventually(lambda: vault_side.malformed, 1)
        vault_side.say(ended())
        eventually(vault_side.ids, ["r1"])
        assert vault_side.told[0]["result"] == "success"


def test_a_whole_line_counts_without_its_end(vault_side: Served) -> None:
    vault_side.say(ended().rstrip())
    eventually(vault_side.ids, ["r1"])
    assert vault_side.malformed == 0


def test_an_endless_line_takes_no_endless_memory_and_keeps_nobody_waiting(vault_side: Served) -> None:
    with vault_side.connect() as client:
        client.sendall(b"x" * (LONGEST + 2**21))
        vault_side.say(ended("other"))
        eventually(vault_side.ids, ["other"])
        client.sendall(b"x\n" + ended("next"))
        eventually(vault_side.ids, ["next", "other"])
    assert vault_side.malformed == 1


def test_an_endless_line_that_is_cut_off_is_counted(vault_side: Served) -> None:
    vault_side.say(b"x" * (LONGEST + 2**21))
    eventually(lambda: vault_side.malformed, 1)


def test_more_connections_than_are_served_at_once_wait_for_their_turn(vault_side: Served) -> None:
    clients = [vault_side.connect() for _ in range(MANY)]
    for number, client in enumerate(clients):
        client.sendall(ended(f"r{number}"))
    eventually(lambda: len(vault_side.told) > 0)
    for client in clients:
        client.close()
    eventually(lambda: len(vault_side.told), MANY)


def test_what_has_arrived_and_what_waits_is_told_when_it_is_stopped(tmp_path: Path) -> None:
    with served(tmp_path / "audit.sock") as vault_side:
        client = vault_side.connect()
        client.sendall(begun("waits") + ended("done"))
        eventually(vault_side.ids, ["done"])
        client.sendall(ended("last") * 1000)
    assert vault_side.ids() == ["done", "last", "waits"]
    assert {e["request_id"] for e in vault_side.told if e["result"] == "unanswered"} == {"waits"}
    assert not (tmp_path / "audit.sock").exists()


def test_the_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    with listening(tmp_path / "audit.sock"):
        assert (tmp_path / "audit.sock").stat().st_mode & 0o777 == 0o660


def test_a_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "audit.sock"))
    with served(tmp_path / "audit.sock") as vault_side:
        vault_side.say(ended())
        eventually(vault_side.ids, ["r1"])


def test_a_socket_that_answers_or_a_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    with listening(tmp_path / "audit.sock"), listening(("127.0.0.1", 0)) as other:
        for taken in (tmp_path / "audit.sock", file, ("127.0.0.1", other.getsockname()[1])):
            with pytest.raises(ListenError, match="can't listen on"), listening(taken):
                pass
        assert (tmp_path / "audit.sock").is_socket()
    assert file.read_text() == "precious"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(("--listen=9200", "--state=/x/state"), "has none to go on from", id="a-place-in-a-socket"),
        pytest.param(("--state=/x/state",), "has none to go on from", id="a-place-in-a-pipe"),
        pytest.param(("--listen=9200", "--once"), "has no end", id="the-end-of-a-socket"),
    ],
)
def test_flags_that_mean_nothing_together_are_refused(
    flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vault-audit", *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--listen=9200", "--log=/x/audit.log"), id="two-sources"),
        pytest.param(("--listen=70000",), id="no-port"),
        pytest.param(("--listen=vault:9200",), id="a-name"),
        pytest.param(("--listen=",), id="nothing"),
    ],
)
def test_no_address_is_a_misuse(flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended_with:
        main(["vault-audit", *flags])
    assert ended_with.value.code == 2
    assert "--listen" in capsys.readouterr().err
