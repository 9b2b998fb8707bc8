"""The launcher as the app's parent: what the app writes goes where it went, and as records to a receiver that fails."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER
from hack.lab.controlplane import free_ports
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.eventually import eventually
from tests.support.launcher import ROOM, python, words
from tests.support.otlp import Receiver, plain

_LONGEST = 64 * 2**10
_MEMORY = 40 * 2**20


def test_what_the_app_writes_goes_where_it_went_and_as_records_to_the_receiver(receiver: Receiver, spool: Path) -> None:
    code = "echo one; echo two >&2; printf 'no end'; exit 42"
    done = subprocess.run(words(receiver.port, spool, "sh", "-c", code), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (42, b"one\nno end", b"two\n")
    streams = {record["body"]["stringValue"]: plain(record["attributes"]) for record in receiver.records}
    assert {line: found["log.iostream"] for line, found in streams.items()} == {
        "one": "stdout",
        "two": "stderr",
        "no end": "stdout",
    }
    assert len(set(receiver.ids())) == 3
    assert list(spool.iterdir()) == []


def test_records_come_in_the_order_they_were_written(receiver: Receiver, spool: Path) -> None:
    subprocess.run(
        words(receiver.port, spool, *python("for n in range(50_000): print(n)")), stdout=subprocess.DEVNULL, check=True
    )
    assert receiver.lines() == [str(number) for number in range(50_000)]
    assert receiver.dropped == 0


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH, signal.SIGRTMIN + 3],
)
def test_the_app_gets_the_signals(receiver: Receiver, spool: Path, number: int) -> None:
    code = f"""
import signal, sys
signal.signal({int(number)}, lambda *_: sys.exit(7))
print('ready', flush=True)
while True: signal.pause()
"""
    as_usual = ("env", "--default-signal")  # a shell has some ignored in what it starts in the background
    with subprocess.Popen([*as_usual, *words(receiver.port, spool, *python(code))], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == 7


def test_an_app_that_a_signal_ended_is_told_of_as_a_shell_does(receiver: Receiver, spool: Path) -> None:
    done = subprocess.run(words(receiver.port, spool, "sh", "-c", "kill -KILL $$"), check=False)
    assert done.returncode == 128 + signal.SIGKILL


def test_an_app_runs_on_while_the_receiver_hangs_and_nothing_is_lost(receiver: Receiver, spool: Path) -> None:
    free = threading.Event()
    receiver.answer = lambda: (200, b"{}") if free.wait(60) else (500, b"")
    code = "for n in range(20_000): print(n)\nimport sys; print('over', file=sys.stderr)"
    with subprocess.Popen(
        words(receiver.port, spool, *python(code)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"over\n"
        assert not receiver.records
        free.set()
        assert process.wait(timeout=60) == 0
    assert [line for line in receiver.lines() if line != "over"] == [str(number) for number in range(20_000)]


def test_a_receiver_that_comes_late_gets_everything(spool: Path) -> None:
    (port,) = free_ports(1)
    with subprocess.Popen(
        words(port, spool, "sh", "-c", "echo early; read x; echo late"), stdin=subprocess.PIPE
    ) as app:
        assert app.stdin is not None
        eventually(lambda: any(b"early" in each.read_bytes() for each in spool.iterdir()))
        with Receiver(port) as receiver:
            eventually(receiver.lines, ["early"])
            app.communicate(b"\n", timeout=60)
            assert receiver.lines() == ["early", "late"]


def test_what_a_killed_launcher_left_is_delivered_by_the_next(spool: Path) -> None:
    """At least once: what comes twice comes under the same id."""
    (port,) = free_ports(1)
    code = "for n in range(1000): print(n, flush=True)\nimport time; time.sleep(60)"
    with subprocess.Popen(words(port, spool, *python(code)), stdout=subprocess.DEVNULL) as process:
        eventually(lambda: any(b'"999"\n' in each.read_bytes() for each in spool.iterdir()))
        process.kill()
    with Receiver(port) as receiver:
        for _ in range(2):
            subprocess.run(words(port, spool, "echo", "again"), stdout=subprocess.DEVNULL, check=True)
    found = dict(zip(receiver.ids(), receiver.lines(), strict=True))
    assert list(found.values()) == [*map(str, range(1000)), "again", "again"]


def test_what_a_killed_launcher_has_delivered_is_not_delivered_again(receiver: Receiver, spool: Path) -> None:
    with subprocess.Popen(
        words(receiver.port, spool, *python("print('early', flush=True)\ninput()")),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        eventually(lambda: (spool / "delivered").exists() and (spool / "delivered").stat().st_size > 0)
        process.kill()
    subprocess.run(words(receiver.port, spool, "echo", "late"), stdout=subprocess.DEVNULL, check=True)
    assert receiver.lines() == ["early", "late"]


def test_what_finds_no_room_is_counted_and_the_oldest_goes_first(receiver: Receiver, spool: Path) -> None:
    free = threading.Event()
    receiver.answer = lambda: (200, b"{}") if free.is_set() else (503, b"")
    total = 200_000
    code = f"for n in range({total}): print(n, 'x' * 40)\nimport sys; print('over', file=sys.stderr)"
    with subprocess.Popen(
        words(receiver.port, spool, *python(code)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()
        assert sum(each.stat().st_size for each in spool.iterdir()) <= ROOM
        free.set()
        assert process.wait(timeout=120) == 0
    numbers = [int(line.split()[0]) for line in receiver.lines() if line != "over"]
    assert numbers == sorted(set(numbers))
    assert receiver.dropped > 0
    assert len(numbers) + receiver.dropped == total
    assert numbers[-1] == total - 1


def test_the_count_of_dropped_records_outlives_the_launcher(receiver: Receiver, spool: Path) -> None:
    (spool / "dropped").write_text("41\n")
    receiver.answer = iter([(400, b""), (200, b"{}")]).__next__
    subprocess.run(words(receiver.port, spool, "echo", "bad"), check=True)
    assert receiver.lines() == []
    assert (spool / "dropped").read_text() == "42\n"
    receiver.answer = lambda: (200, b"{}")
    subprocess.run(words(receiver.port, spool, "echo", "good"), check=True)
    assert (receiver.lines(), receiver.dropped) == (["good"], 42)


def test_what_the_receiver_rejects_is_counted(receiver: Receiver, spool: Path) -> None:
    receiver.answer = lambda: (200, b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}')
    subprocess.run(words(receiver.port, spool, "printf", "a\\nb\\nc\\n"), check=True)
    assert (spool / "dropped").read_text() == "2\n"


def test_what_could_not_be_delivered_in_time_is_told_and_kept(spool: Path) -> None:
    command = words(free_ports(1)[0], spool, "printf", "a\\nb\\n", drain=0)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"2 records are not delivered; they wait in {spool}" in done.stderr


def test_an_orphan_that_keeps_the_output_open_holds_nothing_up(receiver: Receiver, spool: Path) -> None:
    with subprocess.Popen(
        words(receiver.port, spool, "sh", "-c", "sleep 300 & echo $!"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        try:
            assert process.wait(timeout=60) == 0
        finally:
            os.kill(orphan, signal.SIGKILL)
    assert receiver.lines() == [str(orphan)]


@pytest.mark.parametrize("line", ['{"a":' * 100_000 + "}" * 100_000, "x" * 10 * 2**20, "\N{SNOWMAN}" * 50_000])
def test_a_line_of_any_length_is_cut_in_numbered_parts(receiver: Receiver, spool: Path, line: str) -> None:
    (spool.parent / "line").write_text(f"{line}\nnext\n")
    subprocess.run(
        words(receiver.port, spool, "cat", str(spool.parent / "line"), room=4 * ROOM),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    *parts, rest = receiver.records
    numbers = [plain(part["attributes"])["microapp.log.part"] for part in parts]
    assert numbers == [str(number + 1) for number in range(-(-len(line.encode()) // _LONGEST))]
    assert "".join(part["body"]["stringValue"] for part in parts) == line
    assert "microapp.log.part" not in plain(rest["attributes"])


@pytest.mark.parametrize("line", ["b'x'", "b'\\xff' * 70_000"])
def test_a_flood_costs_no_more_memory_than_is_said(receiver: Receiver, spool: Path, line: str) -> None:
    receiver.answer = lambda: (503, b"")
    code = f"""
import os, sys
line = {line} + b'\\n'
for n in range(60): os.write(1, line * (2 ** 20 // len(line)))
peak = next(line for line in open(f'/proc/{{os.getppid()}}/status') if line.startswith('VmHWM'))
print(peak.split()[1], file=sys.stderr)
"""
    command = words(receiver.port, spool, *python(code), drain=0)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    assert int(done.stderr.split()[0]) * 1024 < _MEMORY


@settings(max_examples=25)
@given(
    text=st.lists(
        st.one_of(
            st.binary(max_size=40), st.integers(1, 3).map(lambda n: b"x" * (n * _LONGEST - 1)), st.just(b"\xff\0\r")
        )
    ).map(b"\n".join)
)
def test_every_line_arrives_whole_or_as_its_parts(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("lines")
    (folder / "text").write_bytes(text)
    (folder / "spool").mkdir()
    with Receiver() as receiver:
        done = subprocess.run(
            words(receiver.port, folder / "spool", "cat", str(folder / "text")), stdout=subprocess.PIPE, check=True
        )
    assert done.stdout == text
    found, whole = [], ""
    for record in receiver.records:
        part = int(plain(record["attributes"]).get("microapp.log.part", 0))
        if part <= 1 and whole:
            found.append(whole)
            whole = ""
        whole += record["body"]["stringValue"]
        if part == 0:
            found.append(whole)
            whole = ""
    expected = [_text(line.removesuffix(b"\r")) for line in text.split(b"\n")]
    assert [*found, *filter(None, [whole])] == [line for line in expected if line]


def _text(line: bytes) -> str:
    """``line`` with U+FFFD for each byte that is no UTF-8."""
    return re.sub("[\udc80-\udcff]", "\N{REPLACEMENT CHARACTER}", line.decode(errors="surrogateescape"))


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--forward", "http://127.0.0.1:1/v1/logs"), 2, "belong together"),
        (("--forward", "http://127.0.0.1:1/", "--spool", "/tmp"), 2, "a URL of http or https that ends in /v1/logs"),
        (("--forward", "127.0.0.1:1/v1/logs", "--spool", "/tmp"), 2, "a URL of http or https that ends in /v1/logs"),
        (("--spool", "/tmp"), 2, "belong together"),
        (("--forward", "http://127.0.0.1:1/v1/logs", "--spool", "/nowhere"), 126, "spool: open /nowhere"),
        (("--follow", "/tmp/x"), 2, "--follow needs --forward"),
        (("--room", "1"), 2, "at least 8388608"),
        (("--room", "many"), 2, "--room takes"),
        (("--drain", "-1"), 2, "--drain takes"),
        (("--nothing", "x"), 2, "there is no --nothing"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], status: int, said: str) -> None:
    ensure_built(LAUNCHER)
    command = [str(binary(LAUNCHER)), "run", *arguments, "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert said in done.stderr
