"""The rules as they stand in ``policies/``: their metadata, and what every rule must have."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.lab.build import binary, ensure_built
from hack.lab.components import OPA
from microapp_operator.policy.catalogue import Rule
from microapp_operator.policy.groups import GROUPS

POLICIES = Path(__file__).parent.parent.parent / "policies"
ADMISSION = POLICIES / "admission"
_ANY = "Any"
_ID = re.compile(r"MA-[A-Z]{3}-[0-9]{3}")
_FIELDS = {"id", "what", "why", "fix", "docs", "severity", "tiers", "kinds"}
_OPTIONAL = {"effect", "exceptions", "standing"}


class PolicyError(Exception):
    """A rule that breaks the conventions; the text says which and how."""


@dataclass(frozen=True)
class Source:
    """One rule: its directory's name, its text, and the groups of kinds it is evaluated for."""

    name: str
    rule: Rule
    groups: tuple[str, ...]

    @property
    def cases(self) -> Path:
        """Its cases."""
        return ADMISSION / self.name / "cases.yaml"


def opa(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Standard output of the real OPA, run in ``cwd``; PolicyError with its words when it fails."""
    ensure_built(OPA)
    done = subprocess.run([binary(OPA), *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PolicyError(f"opa {arguments[0]} failed:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def read_rules() -> tuple[Source, ...]:
    """All rules, by id. PolicyError names everything that breaks a convention, not only the first."""
    found = json.loads(opa("inspect", "--annotations", "--format", "json", POLICIES))
    annotated = {_directory(a): a["annotations"] for a in found.get("annotations", ()) if _directory(a)}
    names = sorted(p.name for p in ADMISSION.iterdir() if p.is_dir())
    problems = [
        f"{name}: no METADATA with title and custom above its package" for name in names if name not in annotated
    ]
    sources = []
    for name in names:
        if name in annotated:
            faults = list(_faults(name, annotated[name]))
            problems += [f"{name}: {fault}" for fault in faults]
            if not faults:
                sources.append(_source(name, annotated[name]))
    by_id: dict[str, str] = {}
    for source in sources:
        other = by_id.setdefault(source.rule.id, source.name)
        if other != source.name:
            problems.append(f"{source.name}: id {source.rule.id} is taken by {other}")
    if problems:
        raise PolicyError("\n".join(problems))
    return tuple(sorted(sources, key=lambda s: s.rule.id))


def _directory(annotation: dict[str, Any]) -> str:
    """The rule's directory an annotation belongs to; empty for other packages."""
    path = [term["value"] for term in annotation["path"]]
    return str(path[3]) if path[1:3] == ["microapps", "rules"] and len(path) == 4 else ""


def _faults(name: str, annotation: dict[str, Any]) -> list[str]:
    custom = annotation.get("custom", {})
    faults = [f"custom.{field} is missing" for field in sorted(_FIELDS - set(custom))]
    faults += [f"custom.{field} is unknown" for field in sorted(set(custom) - _FIELDS - _OPTIONAL)]
    faults += [] if annotation.get("title") else ["title is missing"]
    faults += [] if (ADMISSION / name / f"{name}.rego").exists() else [f"{name}.rego is missing"]
    if faults:
        return faults
    if not _ID.fullmatch(custom["id"]):
        faults.append(f"id {custom['id']} is not of the form MA-ABC-001")
    unknown = set(custom["kinds"]) - set(GROUPS) - {_ANY}
    if unknown or not custom["kinds"]:
        faults.append(f"kinds must be some of {', '.join((*GROUPS, _ANY))}; {sorted(unknown)} are none")
    for field in ("what", "why", "fix"):
        if not str(custom[field]).strip().endswith((".", "?", "!")):
            faults.append(f"{field} is no sentence")
    cases = ADMISSION / name / "cases.yaml"
    listed = yaml.safe_load(cases.read_text()) if cases.exists() else []
    if not any(c.get("violations") for c in listed):
        faults.append("cases.yaml has no failing case")
    if not any(not c.get("violations") for c in listed):
        faults.append("cases.yaml has no passing case")
    if not any(c.get("fix") for c in listed):
        faults.append("cases.yaml applies its fix to no failing case")
    return faults


def _source(name: str, annotation: dict[str, Any]) -> Source:
    custom = annotation["custom"]
    kinds = tuple(GROUPS) if _ANY in custom["kinds"] else tuple(custom["kinds"])
    rule = Rule.model_validate({"title": annotation["title"], **{k: v for k, v in custom.items() if k != "kinds"}})
    return Source(name, rule, kinds)
