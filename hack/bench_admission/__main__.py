"""``make bench-admission``: what the rules add at the API server, and what the webhook can take.

A fresh lab of its own. Asserts nothing about time; an answer that is wrong ends it, for then nothing was measured.
Prints tables and writes bench-out/bench-admission.json.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from hack.admission import WEBHOOK, identify
from hack.bench_admission.measure import KINDS, build_range, cold_starts
from hack.bench_admission.pods import BASELINE, build_review, defaulted
from hack.bench_admission.report import build_aims, build_document, print_report
from hack.bench_admission.variants import FULL, Files, Variant, check, make_namespace, running
from hack.install import install
from hack.kubectl import Kubectl, kubectl_for
from hack.lab.build import LabError, ensure_built, say
from hack.lab.components import VEGETA
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT

_COLD_STARTS = 5
Reviews = dict[tuple[str, bool], bytes]


@contextmanager
def _lab() -> Iterator[tuple[HollowLab, Kubectl, Cluster]]:
    """A lab with what ships but the operator, gone afterwards."""
    ensure_built(VEGETA)
    lab = HollowLab(Path(tempfile.mkdtemp(prefix="microapp-bench-")) / "lab")
    lab.up()
    try:
        cluster = Cluster(lab.kubeconfig, CONTEXT, "lab")
        kubectl = kubectl_for(cluster)
        install(kubectl)
        yield lab, kubectl, cluster
    finally:
        lab.down()
        lab.folder.parent.rmdir()


def _measure(seconds: float, rounds: int) -> None:
    begin = time.monotonic()
    with _lab() as (lab, kubectl, cluster), tempfile.TemporaryDirectory() as name:
        files = Files.write(Path(name))
        identity = identify(kubectl, cluster, WEBHOOK, files.folder)
        starts = cold_starts(identity, _COLD_STARTS)
        make_namespace(kubectl, BASELINE, governed=False)
        with running(kubectl, identity, files) as variants:
            reviews, violations = _reviews(kubectl, variants, files)
            range_ = build_range(lab, files.authority, reviews, seconds)
            for number in range(rounds):
                say(f"round {number + 1} of {rounds} …")
                range_.round(variants)
            facts = _facts(variants, violations, starts)
            rss = next(v.process.usage()[1] for v in variants if v.name == FULL)
    facts |= {"seconds a point": seconds, "rounds": rounds, "whole run, s": round(time.monotonic() - begin)}
    aims = build_aims(range_.results, cold_start=median(starts[1:]), rss=rss)
    print_report(range_.results, aims, facts)
    out = Path("bench-out")
    out.mkdir(exist_ok=True)
    document = build_document(range_.results, aims, facts)
    (out / "bench-admission.json").write_text(json.dumps(document, indent=2) + "\n")


def _reviews(kubectl: Kubectl, variants: list[Variant], files: Files) -> tuple[Reviews, dict[str, int]]:
    """A review of each sort for each variant, asked once; and how many violations each variant finds."""
    reviews, violations = {}, {}
    for compliant in KINDS:
        pod = defaulted(kubectl, compliant=compliant)
        for variant in variants:
            review = build_review(pod, variant.namespace)
            violations[variant.name] = check(variant, review, files.authority, compliant=compliant)
            reviews[variant.name, compliant] = review
    return reviews, violations


def _facts(variants: list[Variant], violations: dict[str, int], starts: list[float]) -> dict[str, Any]:
    cpu = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {
        "machine": f"{cpu}, all of it shared by generator, API server and webhook",
        "rules": {v.name: v.rules for v in variants},
        "violations in the violating pod": violations,
        "RSS at rest, MiB": {v.name: round(v.at_rest) for v in variants},
        "RSS after load, MiB": {v.name: round(v.process.usage()[1]) for v in variants},
        "cold starts, s (the first not counted)": [round(s, 2) for s in starts],
    }


def main() -> int:
    """Parse flags, run, print and save."""
    parser = argparse.ArgumentParser(prog="python -m hack.bench_admission", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.2, help="of load a point and round, after the warm-up")
    parser.add_argument("--rounds", type=int, default=3, help="how often every point is measured")
    arguments = parser.parse_args()
    try:
        _measure(arguments.seconds, arguments.rounds)
    except LabError as error:
        print(f"bench-admission: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
