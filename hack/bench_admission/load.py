"""Drives vegeta: a closed loop with keep-alive, in a process of its own, so that nothing shares what is measured."""

import base64
import csv
import json
import subprocess
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from hack.lab.build import LabError, binary
from hack.lab.components import VEGETA

WARM_UP = 0.3
"""Seconds at the start that don't count: handshakes, and the first requests of each connection."""


@dataclass(frozen=True)
class Target:
    """What to POST where; ``expected`` is the HTTP status that it has to be answered with."""

    url: str
    body: bytes
    expected: int

    def line(self) -> str:
        """As vegeta reads it."""
        header = {"Content-Type": ["application/json"]}
        body = base64.b64encode(self.body).decode()
        return json.dumps({"method": "POST", "url": self.url, "header": header, "body": body})


@dataclass(frozen=True)
class Gun:
    """How to reach the targets: whom to trust, and as whom to come (certificate and key, or nobody)."""

    folder: Path
    authority: Path
    identity: tuple[Path, Path] | None = None

    def fire(self, targets: list[Target], *, in_flight: int, seconds: float) -> "Shots":
        """POST the targets by turns, ``in_flight`` at a time. LabError when an answer isn't the expected one."""
        file, results = self.folder / "targets.json", self.folder / "results.bin"
        file.write_text("".join(t.line() + "\n" for t in targets))
        flags = [f"-root-certs={self.authority}", f"-targets={file}", f"-output={results}"]
        if self.identity:
            flags += [f"-cert={self.identity[0]}", f"-key={self.identity[1]}"]
        loop = ["-rate=0", f"-workers={in_flight}", f"-max-workers={in_flight}", f"-duration={WARM_UP + seconds}s"]
        bounds = ["-timeout=10s", "-max-body=0", "-http2=false", "-format=json"]
        _vegeta("attack", *flags, *loop, *bounds, timeout=WARM_UP + seconds + 20)
        rows = list(csv.reader(_vegeta("encode", "-to=csv", str(results), timeout=30).splitlines()))
        expected = {t.url: t.expected for t in targets}
        for row in rows:
            if int(row[1]) != expected[row[10]]:
                raise LabError(f"{row[10]} answered {row[1]} {row[5]} instead of {expected[row[10]]}")
        return Shots.read(rows)


@dataclass(frozen=True)
class Shots:
    """What came of one attack. total: all answers, warm-up included. rate: answers a second after it.

    milliseconds: by URL, sorted, after the warm-up.
    """

    total: int
    rate: float
    milliseconds: dict[str, list[float]]

    @classmethod
    def read(cls, rows: list[list[str]]) -> "Shots":
        """From vegeta's CSV: start in nanoseconds, status, latency in nanoseconds, …, URL."""
        first = min(int(row[0]) for row in rows) + WARM_UP * 1e9
        counted = [row for row in rows if int(row[0]) >= first]
        ends = [int(row[0]) + int(row[2]) for row in counted]
        by_url: dict[str, list[float]] = {}
        for row in counted:
            by_url.setdefault(row[10], []).append(int(row[2]) / 1e6)
        rate = len(counted) / ((max(ends) - first) / 1e9)
        return cls(len(rows), rate, {url: sorted(values) for url, values in by_url.items()})


def percentile(ordered: list[float], part: int) -> float:
    """The ``part``th percentile by nearest rank."""
    return ordered[max(0, ceil(len(ordered) * part / 100) - 1)]


def _vegeta(*arguments: str, timeout: float) -> str:
    done: subprocess.CompletedProcess[Any] = subprocess.run(
        [str(binary(VEGETA)), *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != 0:
        raise LabError(f"vegeta {arguments[0]} failed: {done.stderr.strip()}")
    return str(done.stdout)
