"""Laws of ``validate``: whatever the files hold, something true is said of it, in every format, and nothing crashes."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hack.policy.cases import bases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.mutation import junk, mutated
from tests.support.offline import SETTINGS
from tests.support.reviews import request_of

from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.cli.bench import Bench
from microapp_operator.cli.findings import Judged
from microapp_operator.cli.manifests import Aside, Located, read_manifests
from microapp_operator.cli.output import Report, build_json, build_text
from microapp_operator.cli.picture import Picture
from microapp_operator.cli.sarif import build_sarif
from microapp_operator.cli.sources import Problem, Source
from microapp_operator.errors import PolicyFailure

LAWS = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
MANIFESTS = [request_of(name)["object"] for name in bases() if name != "exec"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine() -> Iterator[RegoEngine]:
    engine = RegoEngine(packaged_bundle())
    yield engine
    engine.close()


def count_lines(text: str) -> int:
    """As YAML 1.1 does (4.2)."""
    return len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))


def sort_out(data: bytes) -> tuple[list[Located], list[Aside], list[Problem]]:
    found = list(read_manifests(Source("f.yaml", data)))
    lines = count_lines(data.decode(errors="replace"))
    for each in found:
        if isinstance(each, Problem):
            assert each.what
            assert each.fix
            assert 0 <= each.line <= lines
    return (
        [each for each in found if isinstance(each, Located)],
        [each for each in found if isinstance(each, Aside)],
        [each for each in found if isinstance(each, Problem)],
    )


def say(engine: RegoEngine, data: bytes) -> list[Judged]:
    """All of it, as the process does; every format is made and read again."""
    subjects, asides, problems = sort_out(data)
    picture = Picture(SETTINGS)
    problems += [*picture.learn(subjects, there=True), *picture.learn(subjects, there=False)]
    picture.settle()
    bench = Bench(engine, SETTINGS, picture, NOW, told=False)
    judged = []
    for subject in subjects:
        with suppress(PolicyFailure):  # said, with exit status 3
            judged.append(bench.judge(subject))
    report = Report(tuple(judged), tuple(asides), tuple(problems), (), engine.digest, "1")
    assert len(json.loads(build_json(report))["objects"]) == len(judged)
    text = build_text(report)
    assert all(line.isprintable() for line in text.split("\n"))
    json.loads(build_sarif(report, engine.rules, "/"))
    return judged


@LAWS
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_said_to_be_unreadable(data: bytes) -> None:
    sort_out(data)


@LAWS
@given(st.text(st.sampled_from("{}[]&*!|>%@`#,:-?'\"\\\n\t \r~a1.<="), max_size=80))
def test_any_yaml_is_read_or_said_to_be_unreadable(text: str) -> None:
    sort_out(text.encode())
    sort_out(f"apiVersion: v1\nkind: Pod\nmetadata: {{}}\nspec:\n  {text}".encode())


@LAWS
@given(st.sampled_from(MANIFESTS).flatmap(mutated), st.booleans())
def test_every_mutated_manifest_is_judged_or_said_to_be_unreadable(
    engine: RegoEngine, manifest: Any, as_yaml: bool
) -> None:
    text = yaml.safe_dump(manifest, allow_unicode=True) if as_yaml else json.dumps(manifest, indent="\t")
    for judged in say(engine, text.encode(errors="surrogatepass")):
        for finding in judged.findings:
            assert 1 <= finding.line <= count_lines(text)
            assert finding.text


@LAWS
@given(
    st.sampled_from(MANIFESTS), st.sampled_from(("apiVersion", "kind", "metadata", "spec", "items", "template")), junk
)
def test_a_manifest_with_anything_inside_is_judged_or_said_to_be_unreadable(
    engine: RegoEngine, manifest: dict[str, Any], field: str, value: Any
) -> None:
    say(engine, json.dumps({**manifest, field: value}).encode(errors="surrogatepass"))


@LAWS
@given(st.sampled_from(MANIFESTS), st.integers(0, 2000), st.integers(0, 20), st.binary(max_size=10))
def test_every_damaged_file_is_judged_or_said_to_be_unreadable(
    engine: RegoEngine, manifest: Any, start: int, length: int, noise: bytes
) -> None:
    whole = yaml.safe_dump(manifest).encode()
    say(engine, whole[:start] + noise + whole[start + length :])
