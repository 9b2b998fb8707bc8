"""The rules from their sources, compiled once with the real OPA."""

import json
from pathlib import Path
from typing import Any

import pytest
from hack.policy.bundle import build_bundle, staged
from hack.policy.cases import Case, base, bases, read_cases
from hack.policy.rules import Source, opa, read_rules

from microapp_operator.adapters.rego import RegoEngine

QUERY = """
result := {id: found |
    some id, document in data.documents
    found := data.microapps.admission.violations with input as document
}"""


@pytest.fixture(scope="session")
def sources() -> tuple[Source, ...]:
    return read_rules()


@pytest.fixture(scope="session")
def bundle(sources: tuple[Source, ...], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("bundle") / "bundle.tar.gz"
    build_bundle(sources, target)
    return target.read_bytes()


@pytest.fixture(scope="session")
def engine(bundle: bytes) -> RegoEngine:
    return RegoEngine(bundle)


@pytest.fixture(scope="session")
def cases(sources: tuple[Source, ...]) -> tuple[Case, ...]:
    return tuple(case for source in sources for case in read_cases(source))


@pytest.fixture(scope="session")
def documents(cases: tuple[Case, ...]) -> dict[str, Any]:
    """Every input the rules' authors wrote, by name."""
    found = {case.id: case.input for case in cases}
    found |= {f"{case.id} (fixed)": case.fixed for case in cases if case.fixed is not None}
    return found | {f"base {name}": base(name) for name in bases()}


@pytest.fixture(scope="session")
def judged(documents: dict[str, Any], sources: tuple[Source, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What ``opa eval`` says of all documents, and which lines of Rego it went through."""
    inputs = tmp_path_factory.mktemp("documents") / "documents.json"
    inputs.write_text(json.dumps({"documents": documents}))
    with staged(sources) as root:
        return json.loads(opa("eval", "--coverage", "--format=json", "--data", root, "--data", Path(inputs), QUERY))
