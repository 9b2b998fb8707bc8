"""What the launcher tells of the records: how many, since when, past all that wait, whatever becomes of it."""

import subprocess
import threading
import time
from pathlib import Path

from hack.lab.controlplane import free_ports

from tests.support.eventually import eventually
from tests.support.launcher import python, words
from tests.support.otlp import Receiver, number

DELIVERED, DROPPED, BACKLOG = "microapp.log.delivered", "microapp.log.dropped", "microapp.log.backlog"
LAST, SINCE = "microapp.log.last_delivered_time", "microapp.log.backlog_since_time"


def counts(receiver: Receiver) -> tuple[float, ...]:
    """(delivered, dropped, waiting) of the latest report."""
    return tuple(number(receiver.reports[-1][name]) for name in (DELIVERED, DROPPED, BACKLOG))


def test_the_end_is_reported(receiver: Receiver, spool: Path) -> None:
    before = time.time()
    subprocess.run(words(receiver.port, spool, "printf", "a\\nb\\nc\\n"), stdout=subprocess.DEVNULL, check=True)
    assert counts(receiver) == (3, 0, 0)
    report = receiver.reports[-1]
    assert set(report) == {DELIVERED, DROPPED, BACKLOG, LAST}
    assert before <= number(report[LAST]) <= time.time()
    assert {name: metric["unit"] for name, metric in report.items() if name != LAST} == dict.fromkeys(
        (DELIVERED, DROPPED, BACKLOG), "{record}"
    )
    assert report[LAST]["unit"] == "s"
    for name in DELIVERED, DROPPED:
        assert (report[name]["sum"]["aggregationTemporality"], report[name]["sum"]["isMonotonic"]) == (2, True)
    (point,) = report[DELIVERED]["sum"]["dataPoints"]
    assert before <= int(point["startTimeUnixNano"]) / 1e9 <= int(point["timeUnixNano"]) / 1e9 <= time.time()


def test_a_report_waits_for_no_record(receiver: Receiver, spool: Path) -> None:
    free = threading.Event()
    receiver.answer = lambda: (200, b"{}") if free.wait(60) else (500, b"")
    before = time.time()
    with subprocess.Popen(
        words(receiver.port, spool, *python("print('a\\nb', flush=True)\ninput()")),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as app:
        eventually(lambda: bool(receiver.reports) and counts(receiver) == (0, 0, 2))
        assert LAST not in receiver.reports[-1]
        assert before <= number(receiver.reports[-1][SINCE]) <= time.time()
        free.set()
        app.communicate(b"\n", timeout=60)
    assert counts(receiver) == (2, 0, 0)
    assert SINCE not in receiver.reports[-1]


def test_no_record_waits_for_a_report(receiver: Receiver, spool: Path) -> None:
    free, asked = threading.Event(), threading.Event()

    def hang() -> tuple[int, bytes]:
        asked.set()
        free.wait(60)
        return 200, b"{}"

    receiver.answer_report = hang
    code = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with subprocess.Popen(
        words(receiver.port, spool, *python(code)), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as app:
        assert app.stdin is not None
        assert asked.wait(60)
        app.stdin.write(b"while it hangs\n")
        app.stdin.flush()
        eventually(receiver.lines, ["while it hangs"])
        app.communicate(timeout=60)
    free.set()
    assert app.returncode == 0


def test_a_report_that_is_refused_costs_nothing(receiver: Receiver, spool: Path) -> None:
    receiver.answer_report = lambda: (503, b"")
    done = subprocess.run(words(receiver.port, spool, "sh", "-c", "echo a; exit 3"), capture_output=True, check=False)
    assert (done.returncode, done.stderr, receiver.lines()) == (3, b"", ["a"])


def test_what_was_dropped_is_counted_over_all_launchers_and_what_was_delivered_in_one(
    receiver: Receiver, spool: Path
) -> None:
    (spool / "dropped").write_text("41\n")
    receiver.answer = lambda: (400, b"")
    subprocess.run(words(receiver.port, spool, "echo", "bad"), stdout=subprocess.DEVNULL, check=True)
    assert counts(receiver) == (0, 42, 0)
    assert not {LAST, SINCE} & set(receiver.reports[-1])
    receiver.answer = lambda: (200, b'{"partialSuccess":{"rejectedLogRecords":"1"}}')
    subprocess.run(words(receiver.port, spool, "printf", "a\\nb\\n"), stdout=subprocess.DEVNULL, check=True)
    assert counts(receiver) == (1, 43, 0)


def test_records_wait_since_the_oldest_was_written_though_it_was_dropped(spool: Path) -> None:
    (port,) = free_ports(1)
    code = "print('early', flush=True)\ninput()\nfor n in range(200_000): print(n, 'x' * 40)"
    with subprocess.Popen(
        words(port, spool, *python(code), drain=0),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as app:
        eventually(lambda: any(b"early" in each.read_bytes() for each in spool.iterdir()))
        flood = time.time()
        with Receiver(port, answer=lambda: (503, b"")) as receiver:
            app.communicate(b"\n", timeout=60)
            delivered, dropped, waiting = counts(receiver)
    assert (delivered, dropped + waiting) == (0, 200_001)
    assert dropped > 0
    assert number(receiver.reports[-1][SINCE]) < flood
