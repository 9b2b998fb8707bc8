"""``make bench-logs``: what the way of a record costs, hop by hop, and how long it takes.

A lab of its own; everything else are processes of this machine. Prints a table and writes bench-out/logs.json. Asserts
nothing.
"""

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from hack.bench_logs.chain import Chain, ChainFigures
from hack.bench_logs.launcher import measure_flood, measure_launcher
from hack.kubectl import kubectl_for
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT

RATES = (100, 1000, 5000)
AIMS = "aims: forwarder ≤ 75 MiB and delay p99 ≤ 1000 ms at 1,000 a second, launcher ≤ 2 % of a core"


def describe(figures: ChainFigures) -> list[str]:
    """Lines of the table: one rate, hop by hop, each beside the hop that does nothing."""
    lost = figures.written - figures.arrived
    head = f"{figures.rate} a second: {figures.written} written, {lost} lost, delay p50 {figures.p50:.0f} ms"
    bare = figures.hops["bare"].cpu
    return [
        f"{head}, p99 {figures.p99:.0f} ms",
        *(
            f"  {name:10} {hop.cpu:6.2f} % of a core  {hop.each_us:7.1f} µs a record  "
            f"{hop.cpu / bare if bare else 0:5.2f} times a bare hop  {hop.memory:6.1f} MiB"
            for name, hop in figures.hops.items()
        ),
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each rate")
    seconds = parser.parse_args().seconds
    load = os.getloadavg()[0]
    print(f"load of the machine before: {load:.1f}; {AIMS}")
    with tempfile.TemporaryDirectory(prefix="microapp-bench-") as name:
        lab = HollowLab(Path(name) / "lab")
        lab.up()
        cluster = Cluster(lab.kubeconfig, CONTEXT, "lab")
        try:
            with Chain(Path(name), cluster, kubectl_for(cluster)).running() as chain:
                chains = [chain.measure(rate, seconds) for rate in RATES]
        finally:
            lab.down()
    for figures in chains:
        print("\n".join(describe(figures)))
    launchers = [measure_launcher(rate, seconds=seconds) for rate in RATES]
    for each in launchers:
        print(
            f"launcher alone at {each.rate}: {each.cpu:.2f} % of a core, {each.ratio:.2f} times cat, "
            f"delay p50 {each.delay_p50_ms:.0f} ms, p99 {each.delay_p99_ms:.0f} ms"
        )
    flood = measure_flood()
    print(
        f"a line a microsecond: {flood.lines} lines in {flood.seconds:.3f} s, directly {flood.direct_seconds:.3f} s; "
        f"{flood.delivered} delivered + {flood.dropped} dropped; {flood.memory_mib:.1f} MiB"
    )
    results = {
        "at": datetime.now(UTC).isoformat(),
        "load": load,
        "chain": [asdict(each) for each in chains],
        "launcher": [asdict(each) for each in launchers],
        "flood": asdict(flood),
    }
    target = Path("bench-out")
    target.mkdir(exist_ok=True)
    (target / "logs.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
