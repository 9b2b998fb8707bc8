"""openreports.io/v1alpha1 Reports: one for each object there is something to say about. Pure.

No times in it: the same findings make the same Report, and nothing is written. It belongs to the object it is about,
so the cluster's garbage collector removes it with the object, whoever is running.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from microapp_operator.adapters.kubernetes.kinds import REPORT
from microapp_operator.constants import LABEL_MANAGED_BY, MANAGED_BY
from microapp_operator.desired.metadata import seal
from microapp_operator.model import Manifest
from microapp_operator.scan.board import OUTCOMES, outcomes
from microapp_operator.scan.court import Judged

_RESULTS_MAX = 500
"""Results in one Report; etcd takes objects of 1.5 MiB. More go into further Reports, none is left out."""
_SUMMARY = ("pass", *OUTCOMES, "error")


def build_reports(judged: Judged) -> tuple[Manifest, ...]:
    """The Reports about ``judged``: one, unless it has more findings than fit; none when it is clean."""
    results = list(_results(judged))
    chunks = [results[start : start + _RESULTS_MAX] for start in range(0, len(results), _RESULTS_MAX)]
    return tuple(_report(judged, number, chunk) for number, chunk in enumerate(chunks))


def _report(judged: Judged, number: int, results: Sequence[Manifest]) -> Manifest:
    ref, counts = judged.ref, Counter(result["result"] for result in results)
    identity = {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name, "uid": judged.uid}
    return seal(
        {
            "apiVersion": REPORT.api_version,
            "kind": REPORT.kind,
            "metadata": {
                "name": f"{MANAGED_BY}-{judged.uid}" + (f"-{number + 1}" if number else ""),
                "namespace": ref.namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY},
                "ownerReferences": [identity],
            },
            "source": MANAGED_BY,
            "scope": {**identity, "namespace": ref.namespace},
            "summary": {name: counts[name] for name in _SUMMARY},
            "results": list(results),
        }
    )


def _results(judged: Judged) -> Iterator[Manifest]:
    """One a violation, with the text a denial would have."""
    if judged.error:
        yield {"policy": MANAGED_BY, "result": "error", "message": judged.error}
    for outcome, violation in outcomes(judged):
        rule = violation.rule
        yield {
            "policy": rule.id,
            "rule": rule.id,
            "category": rule.title,
            "severity": str(rule.severity),
            "result": outcome,
            "scored": outcome == "fail",
            "message": violation.text(),
            "properties": {"bundle": judged.bundle, "path": violation.path},
        }
