"""What the scan has found, by the namespace it was found in; read by status, metrics and Reports. Pure.

Holds objects there is something to say about, all of them; what is clean isn't kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from microapp_operator.model.status import FINDINGS_MAX, PolicyFinding
from microapp_operator.policy.catalogue import Severity
from microapp_operator.policy.verdict import Violation
from microapp_operator.reconcile.queue import Key
from microapp_operator.scan.court import Judged
from microapp_operator.view import Scan

_WORST_FIRST = tuple(Severity)
_EXAMPLES = 5
_REST = "others"
OUTCOMES = ("fail", "warn", "skip")
"""What a violation leads to, in the words of openreports.io: denied, warned about, excepted."""


@dataclass(frozen=True, slots=True)
class Home:
    """One app's namespace. app_uid: as the namespace is labelled, empty when it isn't governed.

    objects: what is in it. apps: the MicroApps that claim it, by key, clean ones as well.
    """

    app_uid: str = ""
    objects: tuple[Judged, ...] = ()
    apps: Mapping[Key, Judged] = field(default_factory=dict)


def outcomes(judged: Judged) -> Iterator[tuple[str, Violation]]:
    """(outcome, violation) for each of ``judged``'s."""
    verdict = judged.verdict
    for outcome, violations in zip(OUTCOMES, (verdict.denied, verdict.warned, verdict.suspended), strict=True):
        for violation in violations:
            yield outcome, violation


class Board:
    """The last word on every namespace."""

    def __init__(self) -> None:
        self._homes: dict[str, Home] = {}

    def put(self, namespace: str, home: Home) -> None:
        """This is what was found in ``namespace``."""
        if home.app_uid or home.apps:
            self._homes[namespace] = home
        else:
            self._homes.pop(namespace, None)

    def replace(self, homes: Mapping[str, Home]) -> None:
        """This is what was found, and there is nothing else."""
        self._homes.clear()
        for namespace, home in homes.items():
            self.put(namespace, home)

    def findings(self) -> Iterator[Judged]:
        """Everything there is something to say about."""
        for home in self._homes.values():
            yield from home.objects
            yield from (judged for judged in home.apps.values() if not judged.clean)

    def by_namespace(self) -> dict[str, list[Judged]]:
        """The same, by the namespace the objects are in; a MicroApp is in its tenant's."""
        found: dict[str, list[Judged]] = defaultdict(list)
        for judged in self.findings():
            found[judged.ref.namespace].append(judged)
        return found

    def scan_of(self, key: Key, uid: str, namespace: str) -> Scan | None:
        """What concerns the MicroApp of that UID, whose namespace is ``namespace``; None when it wasn't judged yet."""
        home = self._homes.get(namespace)
        app = home.apps.get(key) if home else None
        if home is None or app is None or app.uid != uid:
            return None
        return summarise((app, *(home.objects if home.app_uid == uid else ())), app.generation)


def summarise(judged: Iterable[Judged], generation: int) -> Scan:
    """Per rule the number of objects, so that none is left out, and examples of the worst."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(OUTCOMES, 0))
    severity: dict[str, Severity] = {}
    examples: dict[tuple[int, int, str], str] = {}
    failed = 0
    for each in sorted(judged, key=lambda j: j.ref):
        failed += bool(each.error)
        seen = set()
        for outcome, violation in outcomes(each):
            rule = violation.rule
            severity[rule.id] = rule.severity
            if (rule.id, outcome) not in seen:
                counts[rule.id][outcome] += 1
                seen.add((rule.id, outcome))
            if outcome != OUTCOMES[-1]:
                order = (OUTCOMES.index(outcome), _WORST_FIRST.index(rule.severity), rule.id)
                examples.setdefault(order, f"{each.ref.kind} {each.ref.name}: {violation.text()}")
    findings = [PolicyFinding(rule=rule, severity=severity[rule], **counts[rule]) for rule in counts]
    findings.sort(key=lambda f: (_WORST_FIRST.index(Severity(f.severity)), f.rule))
    shown = tuple(examples[order] for order in sorted(examples)[:_EXAMPLES])
    return Scan(generation, _bounded(findings), shown, failed)


def _bounded(findings: list[PolicyFinding]) -> tuple[PolicyFinding, ...]:
    """No more entries than status takes; the rest is summed up, not left out."""
    if len(findings) <= FINDINGS_MAX:
        return tuple(findings)
    kept, rest = findings[: FINDINGS_MAX - 1], findings[FINDINGS_MAX - 1 :]
    sums = {outcome: sum(getattr(f, outcome) for f in rest) for outcome in OUTCOMES}
    return (*kept, PolicyFinding(rule=_REST, severity=rest[0].severity, **sums))
