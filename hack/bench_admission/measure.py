"""The measuring itself: at the API server against a namespace without webhook, and straight at the webhook.

A round measures every variant at every load once, so that what else the machine does falls on all of them alike;
the figure is the median over the rounds.
"""

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from hack.admission import webhook_process
from hack.bench_admission.load import Gun, Target, percentile
from hack.bench_admission.pods import BASELINE, SETTINGS, pod_manifest
from hack.bench_admission.variants import FULL, NOTHING, TEN, Variant
from hack.lab.controlplane import free_ports
from hack.lab.hollow import HollowLab

IN_FLIGHT = (1, 8, 32)
PARTS = (50, 95, 99)
KINDS = {True: "compliant", False: "violating"}
_LOADED = (NOTHING, TEN, FULL)
"""Measured at the API server at every load; the padded sets at the first only."""
Figures = dict[str, float]


@dataclass(frozen=True)
class Point:
    """What was measured: at the API server or straight, which variant, which pod, how many requests in flight."""

    straight: bool
    variant: str
    compliant: bool
    in_flight: int


@dataclass
class Results:
    """Figures by point, one entry a round."""

    rounds: dict[Point, list[Figures]] = field(default_factory=lambda: defaultdict(list))

    def measured(self, straight: bool, variant: str, compliant: bool, in_flight: int) -> bool:
        """Whether there is anything."""
        return Point(straight, variant, compliant, in_flight) in self.rounds

    def median(self, straight: bool, variant: str, compliant: bool, in_flight: int) -> Figures:
        """Each figure's median over the rounds."""
        found = self.rounds[Point(straight, variant, compliant, in_flight)]
        return {name: median(each[name] for each in found) for name in found[0]}

    def rows(self) -> list[dict[str, Any]]:
        """For the file: every point with its medians and its rounds."""
        names = ("straight", "variant", "compliant", "in_flight")
        table = []
        for point, rounds in self.rounds.items():
            where = {name: getattr(point, name) for name in names}
            table.append({**where, "median": self.median(**where), "rounds": rounds})
        return table


@dataclass
class Range:
    """Where is shot and with what. reviews: by variant and sort of pod."""

    api: Gun
    straight: Gun
    server: str
    reviews: dict[tuple[str, bool], bytes]
    seconds: float
    results: Results = field(default_factory=Results)

    def round(self, variants: list[Variant]) -> None:
        """Every point once."""
        for compliant in KINDS:
            for in_flight in IN_FLIGHT:
                for variant in variants:
                    straight = Point(True, variant.name, compliant, in_flight)
                    self.results.rounds[straight].append(self._straight(variant, straight))
                    if variant.name in _LOADED or in_flight == IN_FLIGHT[0]:
                        api = Point(False, variant.name, compliant, in_flight)
                        self.results.rounds[api].append(self._api(variant, api))

    def _straight(self, variant: Variant, point: Point) -> Figures:
        target = Target(variant.url, self.reviews[variant.name, point.compliant], 200)
        before = variant.process.usage()[0]
        shots = self.straight.fire([target], in_flight=point.in_flight, seconds=self.seconds)
        cpu = (variant.process.usage()[0] - before) / shots.total
        found = {"reviews/s": shots.rate, "CPU s per 1000": cpu * 1000, "reviews/s per core": 1 / cpu}
        return found | _percentiles(shots.milliseconds[variant.url])

    def _api(self, variant: Variant, point: Point) -> Figures:
        """By turns; beyond one in flight each alone as well, where those with webhook make the others wait too."""
        governed = self._target(variant.namespace, 201 if point.compliant or variant.name == NOTHING else 403, point)
        baseline = self._target(BASELINE, 201, point)
        found = self._added([governed, baseline], self._turns([governed, baseline], point))
        if point.in_flight == 1:
            return found
        alone = self._turns([governed], point) | self._turns([baseline], point)
        return found | {f"alone: {name}": value for name, value in self._added([governed, baseline], alone).items()}

    def _turns(self, targets: list[Target], point: Point) -> dict[str, list[float]]:
        seconds = self.seconds * len(targets) / 2
        return self.api.fire(targets, in_flight=point.in_flight, seconds=seconds).milliseconds

    def _added(self, targets: list[Target], milliseconds: dict[str, list[float]]) -> Figures:
        with_it, without = (_percentiles(milliseconds[t.url]) for t in targets)
        base = {f"baseline {name}": value for name, value in without.items()}
        return base | {f"added {name}": with_it[name] - without[name] for name in with_it}

    def _target(self, namespace: str, expected: int, point: Point) -> Target:
        body = json.dumps(pod_manifest(namespace, compliant=point.compliant)).encode()
        url = f"{self.server}/api/v1/namespaces/{namespace}/pods?dryRun=All"
        return Target(url, body, expected)


def build_range(lab: HollowLab, authority: Path, reviews: dict[tuple[str, bool], bytes], seconds: float) -> Range:
    """Guns for the lab's API server, as its admin, and for the webhooks that ``authority`` signed for."""
    server = yaml.safe_load(lab.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    pki, folder = lab.folder / "pki", authority.parent
    api = Gun(folder, pki / "ca.crt", (pki / "admin.crt", pki / "admin.key"))
    return Range(api, Gun(folder, authority), server, reviews, seconds)


def cold_starts(kubeconfig: Path, count: int) -> list[float]:
    """Seconds from the process's start to /readyz 200, with the bundle that ships and certificates of its own.

    The first makes certificates, and bytecode where this environment keeps none; an image has it from its build.
    """
    seconds = []
    with tempfile.TemporaryDirectory() as name, _bytecode(Path(name) / "bytecode"):
        folder = Path(name)
        settings = folder / "settings.yaml"
        settings.write_text(yaml.safe_dump(SETTINGS))
        for _ in range(count + 1):
            process = webhook_process(kubeconfig, folder, free_ports(1)[0], settings)
            begin = time.monotonic()
            process.start()
            seconds.append(time.monotonic() - begin)
            process.stop()
    return seconds


@contextmanager
def _bytecode(folder: Path) -> Iterator[None]:
    """Processes started inside keep Python's bytecode in ``folder``, whatever the shell says about it."""
    before = dict(os.environ)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _percentiles(milliseconds: list[float]) -> Figures:
    return {f"p{part} ms": percentile(milliseconds, part) for part in PARTS}
