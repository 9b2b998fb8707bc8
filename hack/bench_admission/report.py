"""Tables of what was measured: every point, then each aim beside its figure and how often the no-op it costs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hack.bench_admission.measure import IN_FLIGHT, KINDS, PARTS, Results
from hack.bench_admission.variants import ELSEWHERE, FULL, NAMES, NOTHING, PODS, TEN

COLD_START, RSS = "cold start to ready (median)", "RSS after load, all rules"


@dataclass(frozen=True)
class Aim:
    """One aim. yardstick: the same figure of the webhook that does nothing, where there is one."""

    what: str
    unit: str
    measured: float
    limit: float
    at_least: bool = False
    yardstick: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def row(self) -> str:
        """One line of the table."""
        limit = f"{'≥' if self.at_least else '≤'} {self.limit:g}"
        ratio = f"{self.measured / self.yardstick:.2f}" if self.yardstick else ""
        verdict = "yes" if self.met else "NO"
        return f"{self.what:62} {self.unit:9} {limit:>8} {self.measured:>9.2f} {verdict:>4} {ratio:>7}"


def build_aims(results: Results, *, cold_start: float, rss: float) -> list[Aim]:
    """The aims of the design, each with what was measured."""
    aims = [aim for compliant in KINDS for aim in _aims_of(results, compliant)]
    return [*aims, Aim(COLD_START, "s", cold_start, 2.0), Aim(RSS, "MiB", rss, 150.0)]


def _aims_of(results: Results, compliant: bool) -> Iterator[Aim]:
    kind = KINDS[compliant]

    def api(variant: str) -> float:
        return results.median(False, variant, compliant, 1)["added p50 ms"]

    def rate(variant: str, in_flight: int) -> float:
        return results.median(True, variant, compliant, in_flight)["reviews/s"]

    def cpu(variant: str) -> float:
        return results.median(True, variant, compliant, 8)["CPU s per 1000"]

    yield Aim(f"{kind}: added p50 at 1 in flight, {TEN}", "ms", api(TEN), 2.0, yardstick=api(NOTHING))
    for in_flight, least in ((1, 1000), (8, 1300)):
        aim = f"{kind}: straight at {in_flight} in flight, {TEN}"
        yield Aim(aim, "reviews/s", rate(TEN, in_flight), least, at_least=True, yardstick=rate(NOTHING, in_flight))
    yield Aim(f"{kind}: CPU per 1000 at 8 in flight, {TEN}", "s", cpu(TEN), 1.0, yardstick=cpu(NOTHING))
    yield Aim(f"{kind}: CPU, {FULL} to {TEN}", "ratio", cpu(FULL) / cpu(TEN), 2.0)
    yield Aim(f"{kind}: added p50 at 1 in flight, {FULL} to {TEN}", "ratio", api(FULL) / api(TEN), 2.0)
    yield Aim(f"{kind}: CPU, {ELSEWHERE} to {FULL}: flat", "ratio", cpu(ELSEWHERE) / cpu(FULL), 1.1)
    yield Aim(f"{kind}: CPU, {PODS} to {FULL}: at most twice", "ratio", cpu(PODS) / cpu(FULL), 2.0)


def print_report(results: Results, aims: list[Aim], facts: dict[str, Any]) -> None:
    """Everything, for people."""
    for name, value in facts.items():
        print(f"{name:40} {value}")
    print("\nAdded at the API server, ms: a governed namespace less an equal one without webhook, request by request;")
    print("alone: all in flight for the one, then all for the other, so that what the webhook takes is felt in full")
    added = [f"added p{p} ms" for p in PARTS]
    _print_points(results, False, ["baseline p50 ms", *added, *(f"alone: {name}" for name in added)])
    print("\nStraight at the webhook, TLS and keep-alive")
    _print_points(results, True, ["reviews/s", "CPU s per 1000", "reviews/s per core", *(f"p{p} ms" for p in PARTS)])
    print(f"\n{'aim':62} {'unit':9} {'limit':>8} {'measured':>9} {'met':>4} {'/no-op':>7}")
    for aim in aims:
        print(aim.row())


def build_document(results: Results, aims: list[Aim], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything, for the file."""
    return {**facts, "aims": [{**asdict(aim), "met": aim.met} for aim in aims], "points": results.rows()}


def _print_points(results: Results, straight: bool, columns: list[str]) -> None:
    print(f"{'pod':10} {'webhook':18} {'in flight':>9} " + " ".join(columns))
    for compliant, kind in KINDS.items():
        for variant in NAMES:
            for in_flight in IN_FLIGHT:
                if results.measured(straight, variant, compliant, in_flight):
                    figures = results.median(straight, variant, compliant, in_flight)
                    values = " ".join(f"{figures[n]:>{len(n)}.2f}" if n in figures else " " * len(n) for n in columns)
                    print(f"{kind:10} {variant:18} {in_flight:>9} {values}")
