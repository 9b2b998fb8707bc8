"""The rules' cases, made whole: a base input with the case's patches applied (RFC 6902)."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jsonpatch
import yaml

from hack.policy.rules import POLICIES, PolicyError, Source


@dataclass(frozen=True)
class Case:
    """One input and what a rule must say of it.

    fixed: the input after the rule's own remedy; None where the case shows none.
    """

    rule: str
    name: str
    input: dict[str, Any]
    violations: list[dict[str, Any]]
    fixed: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """Unique over all rules."""
        return f"{self.rule}: {self.name}"


@cache
def base(name: str) -> dict[str, Any]:
    """One of ``policies/bases``: a whole input, perhaps another one patched. Don't change it, copy it."""
    loaded: dict[str, Any] = yaml.safe_load((POLICIES / "bases" / f"{name}.yaml").read_text())
    if "extends" in loaded:
        return _patched(f"base {name}", base(loaded["extends"]), loaded["patch"])
    return loaded


def bases() -> list[str]:
    """Names of all bases."""
    return sorted(path.stem for path in (POLICIES / "bases").glob("*.yaml"))


def read_cases(source: Source) -> Iterator[Case]:
    """The cases of one rule; PolicyError when a patch doesn't fit its base, or a name comes twice."""
    seen: set[str] = set()
    for raw in yaml.safe_load(source.cases.read_text()):
        if raw["name"] in seen:
            raise PolicyError(f"{source.name}: two cases are named {raw['name']!r}")
        seen.add(raw["name"])
        what = f"{source.name}: case {raw['name']!r}"
        document = _patched(what, base(raw["base"]), raw.get("patch", []))
        fixed = _patched(what, document, raw["fix"]) if "fix" in raw else None
        yield Case(source.name, raw["name"], document, raw["violations"], fixed)


def _patched(what: str, document: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        patched: dict[str, Any] = jsonpatch.apply_patch(copy.deepcopy(document), patch)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise PolicyError(f"{what}: {error}") from error
    return patched
