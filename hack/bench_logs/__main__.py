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
from hack.bench_logs.report import build_aims, describe_aims, describe_chain, describe_flood, describe_launcher
from hack.kubectl import kubectl_for
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT

RATES = (100, 1000, 5000)


def _measure_chain(seconds: float) -> list[ChainFigures]:
    with tempfile.TemporaryDirectory(prefix="microapp-bench-") as name:
        lab = HollowLab(Path(name) / "lab")
        lab.up()
        cluster = Cluster(lab.kubeconfig, CONTEXT, "lab")
        try:
            with Chain(Path(name), cluster, kubectl_for(cluster)).running() as chain:
                return [chain.measure(rate, seconds) for rate in RATES]
        finally:
            lab.down()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each rate")
    seconds = parser.parse_args().seconds
    load = [round(os.getloadavg()[0], 1)]
    chains = _measure_chain(seconds)
    load.append(round(os.getloadavg()[0], 1))
    launchers, flood = [measure_launcher(rate, seconds=seconds) for rate in RATES], measure_flood()
    aims = build_aims(chains, launchers)
    print(f"load of the machine before: {load[0]}, after the chain, which is part of it: {load[1]}")
    for figures in chains:
        print("\n".join(describe_chain(figures)))
    print("\n".join(map(describe_launcher, launchers)), describe_flood(flood), "", *describe_aims(aims), sep="\n")
    results = {
        "at": datetime.now(UTC).isoformat(),
        "seconds": seconds,
        "load": load,
        "aims": [{**asdict(aim), "met": aim.met} for aim in aims],
        "chain": [asdict(each) for each in chains],
        "launcher": [asdict(each) for each in launchers],
        "flood": asdict(flood),
    }
    target = Path("bench-out")
    target.mkdir(exist_ok=True)
    (target / "logs.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
