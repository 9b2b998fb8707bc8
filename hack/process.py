"""The operator as a process of its own, as demo, bench and tests run it: started, ready, measured, stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.lab.build import LabError

_SOURCE = Path(__file__).parent.parent / "operator" / "src"
_DEADLINE = 60.0


@dataclass
class OperatorProcess:
    """``with OperatorProcess(kubeconfig, log) as operator``: ready inside, drained and gone after.

    log: file that gets its JSON log, appended. arguments: more flags. command: the subcommand, with the flag
    that gives its health port. module: what Python runs. variables: more of its environment.
    """

    kubeconfig: Path
    log: Path
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ("run", "--port=0")
    module: str = "microapp_operator"
    variables: Mapping[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _port: int = field(default=0, init=False)

    def start(self, *, ready: bool = True) -> None:
        """Start it; with ``ready`` wait until /readyz says so. LabError with the log's tail when it ends early."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        begin = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", self.module, *self.command, *self.arguments]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PYTHONPATH": str(_SOURCE), **self.variables}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        self._wait(lambda: self._find_port(begin), "listening")
        if ready:
            self._wait(self.ready, "ready")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with ``number`` and wait; returns its exit status."""
        if self._process is None:
            raise LabError("the operator was not started")
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            status = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise LabError(f"it did not end within 30 s of signal {number}; see {self.log}") from None
        finally:
            self._process = None
        return status

    @property
    def pid(self) -> int:
        """Its process id; LabError when it wasn't started."""
        if self._process is None:
            raise LabError("it was not started")
        return self._process.pid

    def ended(self) -> int:
        """Wait until it ends by itself; returns its exit status."""
        if self._process is None:
            raise LabError("it was not started")
        status = self._process.wait(_DEADLINE)
        self._process = None
        return status

    def running(self) -> bool:
        """True between ``start`` and ``stop``."""
        return self._process is not None

    def ready(self) -> bool:
        """What /readyz says."""
        return self._get("/readyz") is not None

    def says(self) -> str:
        """The text of /readyz, empty while it isn't ready."""
        return self._get("/readyz") or ""

    def page(self) -> str:
        """The text of /metrics."""
        return self._get("/metrics") or ""

    def metrics(self) -> dict[str, float]:
        """/metrics as {"name{labels}": value}."""
        rows = (line.rsplit(" ", 1) for line in self.page().splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of ``name`` that carry ``labels``; a label's value may be a regular expression."""
        wanted = {label: re.compile(pattern) for label, pattern in labels.items()}
        total = 0.0
        for series, value in self.metrics().items():
            head, _, tail = series.partition("{")
            have = dict(re.findall(r'(\w+)="([^"]*)"', tail))
            if head == name and all(label in have and p.fullmatch(have[label]) for label, p in wanted.items()):
                total += value
        return total

    def written(self) -> dict[str, float]:
        """Write requests answered so far by verb, kind and code, Events left out."""
        series = self.metrics().items()
        return {n: v for n, v in series if n.startswith("microapp_operator_writes_total{") and 'kind="events"' not in n}

    def writes(self) -> int:
        """How many those were."""
        return int(sum(self.written().values()))

    def usage(self) -> tuple[float, float]:
        """(CPU seconds used, resident memory in MiB), from /proc."""
        pid = self._process.pid if self._process else 0
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return (int(fields[11]) + int(fields[12])) / ticks, pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running():
            self.stop()

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def _find_port(self, begin: int) -> bool:
        with self.log.open("rb") as file:
            file.seek(begin)
            for line in file.read().decode(errors="replace").splitlines():
                if '"http_listening"' in line:
                    self._port = int(json.loads(line)["port"])
                    return True
        return False

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not done():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                if not ended:
                    self.stop(signal.SIGKILL)
                raise LabError(f"{self.module} {self.command[0]} is not {what}:\n{tail}")
            time.sleep(0.05)
