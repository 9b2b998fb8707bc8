"""Every rule does what its cases say: by ``opa eval``, by WebAssembly in process, and by its own remedy."""

from typing import Any

from hack.policy.cases import Case, bases
from hack.policy.rules import Source

from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.model.canonical import canonical
from microapp_operator.policy.groups import group_of


def by_opa(judged: Any) -> dict[str, list[dict[str, Any]]]:
    return judged["result"][0]["bindings"]["result"]


def own(found: list[dict[str, Any]], rule: str) -> list[dict[str, Any]]:
    return [v for v in found if v["id"] == rule]


def test_every_case_violates_what_it_says(cases: tuple[Case, ...], sources: tuple[Source, ...], judged: Any) -> None:
    ids = {s.name: s.rule.id for s in sources}
    wrong = [
        f"{case.id}\n    said {case.violations}\n    but was {found}"
        for case in cases
        if not same(found := own(by_opa(judged)[case.id], ids[case.rule]), case.violations)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_remedy_mends_its_case(cases: tuple[Case, ...], sources: tuple[Source, ...], judged: Any) -> None:
    ids = {s.name: s.rule.id for s in sources}
    mended = [c for c in cases if c.fixed is not None]
    wrong = {c.id: found for c in mended if (found := own(by_opa(judged)[f"{c.id} (fixed)"], ids[c.rule]))}
    assert not wrong
    assert {c.rule for c in mended} == {s.name for s in sources}


def test_bases_violate_nothing(judged: Any) -> None:
    allowed = {"exec": ["MA-EXE-001"]}
    for name in bases():
        found = sorted(v["id"] for v in by_opa(judged)[f"base {name}"])
        assert found == allowed.get(name, []), name


def test_webassembly_answers_like_opa(documents: dict[str, Any], judged: Any, engine: RegoEngine) -> None:
    different = {}
    for name, document in documents.items():
        request = document["request"]
        group = group_of(request["kind"]["kind"], request.get("subResource", ""), request["operation"])
        found = sorted(canonical(v.values) for v in engine.evaluate(group, document))
        expected = sorted(map(canonical, by_opa(judged)[name]))
        if found != expected:
            different[name] = (found, expected)
    assert not different


def test_cases_reach_every_line(judged: Any) -> None:
    missed = {
        name: [f"{r['start']['row']}-{r['end']['row']}" for r in file["not_covered"]]
        for name, file in judged["coverage"]["files"].items()
        if file.get("not_covered") and not name.endswith("/main.rego")  # generated: every rule under every kind
    }
    assert not missed


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Each expected object is part of exactly one found."""
    return len(found) == len(expected) and all(
        sum(e.items() <= f.items() for f in map(_flat, found)) == 1 for e in map(_flat, expected)
    )


def _flat(violation: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in violation.items()}
