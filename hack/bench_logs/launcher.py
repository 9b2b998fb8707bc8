"""What the launcher costs an app: its share of a core and memory beside ``cat``, delays, and the pace of a flood.

Launcher and ``cat`` work at the same time on the same lines, so that what else the machine does falls on both alike.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from hack.bench_admission.load import percentile
from hack.lab.build import binary, ensure_built
from hack.lab.components import LAUNCHER

_APP: Final = """
import os, sys, time
rate, seconds, at_once, told = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
begin, written, worst = time.perf_counter(), 0, 0.0
while written < rate * seconds:
    line = b'{"event":"expense_submit","level":"info","logger":"expenses.api","outcome":"success","time":%d}\\n'
    block = (line % time.time_ns()) * at_once
    before = time.perf_counter()
    while block:
        block = block[os.write(1, block):]
    after = time.perf_counter()
    written, worst = written + at_once, max(worst, after - before)
    ahead = begin + written / rate - after
    if ahead > 0:
        time.sleep(ahead)
with open(told, "w") as file:
    file.write(f"{time.perf_counter() - begin} {worst} {written}")
"""
"""An app that writes so many lines a second, some at once, and tells a file how long that and its longest write
took."""
_WARM_UP: Final = 2.0
_FLOOD: Final = 1_000_000
_AT_ONCE: Final = 200
_MIB: Final = 2**20
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class LauncherFigures:
    """At one rate. cpu, cat_cpu: of a core, in percent; delays: from the app's write to the receiver."""

    rate: int
    cpu: float
    cat_cpu: float
    memory_mib: float
    delay_p50_ms: float
    delay_p99_ms: float


@dataclass(frozen=True)
class FloodFigures:
    """A line a microsecond. worst: the longest write; direct: the same app before ``cat``."""

    lines: int
    seconds: float
    direct_seconds: float
    worst_ms: float
    direct_worst_ms: float
    memory_mib: float
    delivered: int
    dropped: int


@dataclass
class _Receiver:
    """Takes records, and notes how old each was. dropped: as the launcher last told."""

    delays: list[float] = field(default_factory=list)
    dropped: int = 0

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Gives the URL it takes records at."""
        this = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/logs":
                    this.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/logs"
            server.shutdown()

    def take(self, body: bytes) -> None:
        """Note the records of an ExportLogsServiceRequest."""
        now = time.time_ns()
        (logs,) = json.loads(body)["resourceLogs"]
        ((_, dropped),) = (each.values() for each in logs["resource"]["attributes"])
        self.dropped = int(dropped["intValue"])
        for record in logs["scopeLogs"][0]["logRecords"]:
            written = record["body"]["stringValue"].rpartition('"time":')[2].removesuffix("}")
            self.delays.append((now - int(written)) / 1e6)


@dataclass
class _Written:
    """What an app told of its writing."""

    seconds: float
    worst_ms: float
    lines: int

    @classmethod
    def told(cls, place: Path) -> "_Written":
        """In the file ``place``."""
        seconds, worst, lines = place.read_text().split()
        return cls(float(seconds), float(worst) * 1000, int(lines))


@dataclass(frozen=True)
class _Bench:
    """Where things lie. program: the launcher."""

    folder: Path
    program: Path

    def app(self, rate: int, seconds: float, at_once: int) -> tuple[list[str], Path]:
        """(words, file that it tells of its writing)."""
        told = Path(tempfile.mkstemp(dir=self.folder)[1])
        return [sys.executable, "-c", _APP, str(rate), str(seconds), str(at_once), str(told)], told

    @contextmanager
    def launched(self, app: list[str], receiver: _Receiver) -> Iterator["subprocess.Popen[bytes]"]:
        """The app below a launcher, which ends when all is delivered."""
        spool = tempfile.mkdtemp(dir=self.folder)
        with receiver.listening() as url:
            command = [str(self.program), "run", "--forward", url, "--spool", spool, "--drain", "120", "--", *app]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as launcher:
                yield launcher


@contextmanager
def _bench(program: Path | None) -> Iterator[_Bench]:
    ensure_built(LAUNCHER)
    with tempfile.TemporaryDirectory() as folder:
        yield _Bench(Path(folder), program or binary(LAUNCHER))


@contextmanager
def _before_cat(app: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """``cat``, which reads the pipe that the app writes to."""
    with (
        subprocess.Popen(app, stdout=subprocess.PIPE) as writer,
        subprocess.Popen(["cat"], stdin=writer.stdout, stdout=subprocess.DEVNULL) as cat,
    ):
        yield cat


def measure_launcher(rate: int, *, seconds: float = 20, program: Path | None = None) -> LauncherFigures:
    """An app that writes ``rate`` lines a second. program: a launcher other than this checkout's."""
    receiver = _Receiver()
    with _bench(program) as bench:
        app, _ = bench.app(rate, seconds + 2 * _WARM_UP, at_once=1)
        with bench.launched(app, receiver) as launcher, _before_cat(app) as cat:
            time.sleep(_WARM_UP)
            before, cat_before, begin = cpu_of(launcher.pid), cpu_of(cat.pid), time.monotonic()
            receiver.delays.clear()
            time.sleep(seconds)
            share = 100 / (time.monotonic() - begin)
            cpu, cat_cpu = (cpu_of(launcher.pid) - before) * share, (cpu_of(cat.pid) - cat_before) * share
            memory = peak_of(launcher.pid)
    p50, p99 = (percentile(sorted(receiver.delays), part) for part in (50, 99))
    return LauncherFigures(rate, cpu, cat_cpu, memory, p50, p99)


def measure_flood(*, seconds: float = 3, rate: int = _FLOOD, program: Path | None = None) -> FloodFigures:
    """A line a microsecond, behind the launcher, then behind ``cat``."""
    receiver = _Receiver()
    with _bench(program) as bench:
        app, told = bench.app(rate, seconds, _AT_ONCE)
        with _before_cat(app):
            pass
        direct = _Written.told(told)
        told.write_text("")
        with bench.launched(app, receiver) as launcher:
            while not told.read_text():
                time.sleep(0.1)
            memory = peak_of(launcher.pid)
        written = _Written.told(told)
    return FloodFigures(
        lines=written.lines,
        seconds=written.seconds,
        direct_seconds=direct.seconds,
        worst_ms=written.worst_ms,
        direct_worst_ms=direct.worst_ms,
        memory_mib=memory,
        delivered=len(receiver.delays),
        dropped=receiver.dropped,
    )


def cpu_of(pid: int) -> float:
    """Seconds a process has had of the processor: fields 14 and 15 of /proc/PID/stat (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak_of(pid: int) -> float:
    """MiB a process has had in memory at most (proc(5), VmHWM)."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / _MIB
