"""Writes ``docs/policies.md``: every rule with its reason and remedy, from the metadata that denials quote."""

from hack.policy.rules import POLICIES, Source

REFERENCE = POLICIES.parent / "docs" / "policies.md"
_HEAD = """# Admission rules

Generated from the rules in `policies/` by `make policies`. A violation is denied in production, and before
production in the tiers named; elsewhere it is a warning. The text below is what a denial says.
"""


def write_reference(sources: tuple[Source, ...]) -> None:
    """One section a rule, in the order of the ids."""
    REFERENCE.write_text("\n".join((_HEAD, *map(_section, sources))))


def _section(source: Source) -> str:
    rule = source.rule
    where = "never, it only warns" if rule.effect == "warn" else ", ".join(rule.tiers) or "no tier"
    suspend = "" if rule.exceptions else " No Approval can suspend it."
    suspend += "" if rule.standing else " It is about the request, so scan and offline checks leave it out."
    return (
        f"## {rule.id}\n\n**{rule.title}** ({rule.severity}; denied before production: {where}; "
        f"looks at {', '.join(source.groups)}).{suspend}\n\n"
        f"- Says: {rule.what}\n- Why: {rule.why}\n- Fix: {rule.fix}\n"
    )
