"""What the scan's findings come to: the condition PolicyCompliant. Pure.

It never holds Ready up: what confines an app is admission and the reconciler. Must not import ports or adapters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from microapp_operator.reasons import ConditionType, Reason
from microapp_operator.view import Scan

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
MESSAGE_MAX: Final = 4096
"""Characters of a condition's message."""


@dataclass(frozen=True, slots=True)
class Compliance:
    """Status, reason and message of the condition."""

    status: str
    reason: Reason
    message: str


def judge_compliance(scan: Scan | None) -> Compliance:
    """What is to be said of ``scan``; None when there was none yet."""
    if scan is None:
        return Compliance(UNKNOWN, Reason.NOT_SCANNED, Reason.NOT_SCANNED.remedy)
    failing = [f"{f.rule} ({f.fail})" for f in scan.findings if f.fail]
    warning = [f"{f.rule} ({f.warn})" for f in scan.findings if f.warn]
    excepted = [f"{f.rule} ({f.skip})" for f in scan.findings if f.skip]
    parts = [f"{scan.not_judged} objects could not be judged."] if scan.not_judged else []
    for what, rules in (("Denied", failing), ("Warned about", warning), ("Excepted", excepted)):
        parts += [f"{what}, with the number of objects: {', '.join(rules)}."] if rules else []
    if failing:
        status, reason = FALSE, Reason.POLICY_VIOLATIONS
    elif scan.not_judged:
        status, reason = UNKNOWN, Reason.NOT_JUDGED
    else:
        status, reason = TRUE, Reason.POLICY_WARNINGS if warning else Reason.POLICIES_MET
    text = " ".join([*parts, reason.remedy, *scan.examples]).strip()
    return Compliance(status, reason, (text or "No rule objects to anything that is there.")[:MESSAGE_MAX])


def is_told(status: Mapping[str, Any], scan: Scan) -> bool:
    """Whether ``status``, of a MicroApp as the API server has it, says already what ``scan`` found."""
    said = judge_compliance(scan)
    kind = ConditionType.POLICY_COMPLIANT
    condition: Mapping[str, Any] = next((c for c in status.get("conditions") or () if c["type"] == kind), {})
    there = tuple(condition.get(name) for name in ("status", "reason", "message", "observedGeneration"))
    findings = [f.model_dump(mode="json", by_alias=True, exclude_none=True) for f in scan.findings]
    wanted = (said.status, said.reason, said.message, scan.generation)
    return there == wanted and (status.get("policyFindings") or []) == findings
