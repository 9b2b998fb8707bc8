"""Small findings to count: rules, violations and objects that were judged."""

from microapp_operator.policy.catalogue import Rule, Severity
from microapp_operator.policy.verdict import Verdict, Violation
from microapp_operator.ports import ObjectRef
from microapp_operator.scan.court import Judged


def make_rule(name: str, severity: str = "high") -> Rule:
    """A rule of that id."""
    text = {"title": "t", "what": "w.", "why": "y.", "fix": "f.", "docs": "d"}
    return Rule(id=name, severity=Severity(severity), tiers=("low",), **text)


def make_violation(rule: Rule, path: str = "spec") -> Violation:
    """The rule objects to the field ``path``."""
    return Violation(rule, path, {})


def make_judged(kind: str, name: str, verdict: Verdict, *, error: str = "") -> Judged:
    """An object in ma-finance-expenses, or a MicroApp in finance."""
    namespace = "finance" if kind == "MicroApp" else "ma-finance-expenses"
    ref = ObjectRef("v1", kind, namespace, name)
    return Judged(ref, f"uid-{kind}-{name}".lower(), 1, verdict, "b" * 64, error)
