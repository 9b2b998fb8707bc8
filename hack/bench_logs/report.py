"""Tables of what was measured: each rate hop by hop, then each aim beside its figure and how often the yardstick's."""

from hack.bench_admission.report import Aim
from hack.bench_logs.chain import ChainFigures
from hack.bench_logs.launcher import FloodFigures, LauncherFigures

AIMED_AT = 1000
"""Lines a second that the aims are about."""


def describe_chain(figures: ChainFigures) -> list[str]:
    """Lines of the table: one rate, hop by hop, each beside the hop that does nothing."""
    bare = figures.hops["bare"].cpu
    counted = f"{figures.written} written, {figures.lost} lost, {figures.again} delivered again"
    return [
        f"{figures.rate} a second: {counted}, delay p50 {figures.p50:.0f} ms, p99 {figures.p99:.0f} ms",
        *(
            f"  {name:10} {hop.cpu:6.2f} % of a core  {hop.each_us:7.1f} µs a record  "
            f"{_times(hop.cpu, bare)} a bare hop  {hop.memory:6.1f} MiB"
            for name, hop in figures.hops.items()
        ),
    ]


def describe_launcher(figures: LauncherFigures) -> str:
    """A line of the table: the launcher beside ``cat``."""
    return (
        f"launcher alone at {figures.rate}: {figures.cpu:.2f} % of a core, {_times(figures.cpu, figures.cat_cpu)} cat, "
        f"delay p50 {figures.delay_p50_ms:.0f} ms, p99 {figures.delay_p99_ms:.0f} ms"
    )


def describe_flood(figures: FloodFigures) -> str:
    """A line of the table: more than can be delivered."""
    return (
        f"a line a microsecond: {figures.lines} lines in {figures.seconds:.3f} s, "
        f"directly {figures.direct_seconds:.3f} s; "
        f"{figures.delivered} delivered + {figures.dropped} dropped; {figures.memory_mib:.1f} MiB"
    )


def build_aims(chains: list[ChainFigures], launchers: list[LauncherFigures]) -> list[Aim]:
    """What the way of a record was meant to cost, with what it did."""
    (chain,) = (each for each in chains if each.rate == AIMED_AT)
    (launcher,) = (each for each in launchers if each.rate == AIMED_AT)
    at = f"at {AIMED_AT} lines a second"
    forwarder, bare = chain.hops["forwarder"].memory, chain.hops["bare"].memory
    return [
        Aim(f"forwarder's memory {at}, to a bare hop's", "MiB", forwarder, 75, yardstick=bare),
        Aim(f"delay p99 {at}, app to sink", "ms", chain.p99, 1000),
        Aim(f"launcher {at}, to cat", "% of core", launcher.cpu, 2, yardstick=launcher.cat_cpu),
        Aim("lines lost, at any rate", "lines", sum(each.lost for each in chains), 0),
    ]


def describe_aims(aims: list[Aim]) -> list[str]:
    """Lines of the table: aim, figure, verdict."""
    return [f"{'aim':62} {'unit':9} {'limit':>8} {'measured':>9} {'met':>4} {'ratio':>7}", *(aim.row() for aim in aims)]


def _times(cpu: float, yardstick: float) -> str:
    """How many times the yardstick's; in a short run that may have had less than a tick of the clock (proc(5))."""
    return f"{cpu / yardstick:5.2f} times" if yardstick else "    ? times"
