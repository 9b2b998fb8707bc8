"""From models to what a CRD may carry."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from hack.crdgen import __main__ as crdgen
from hack.crdgen.__main__ import CRDS, render
from hack.crdgen.kinds import KINDS, build_crd
from hack.crdgen.kinds import Kind as CrdKind
from hack.crdgen.schema import build_schema
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError
from tests.golden.tiers import load_tiers

from microapp_operator.model import Connector, MicroApp
from microapp_operator.model.common import Model, ObjectMeta, Timestamp
from microapp_operator.model.microapp import Resources
from microapp_operator.model.quantity import format_cpu, format_memory, parse_quantity


class Colour(StrEnum):
    RED = "red"


class Inner(Model):
    """Inside."""

    text: Annotated[str, Field(max_length=5, description="Some text.")] = ""


class Spec(Model):
    """Spec."""

    inner: Annotated[Inner | None, Field(description="Maybe.")] = None
    colour: Annotated[Colour, Field(description="Which.")] = Colour.RED
    items: Annotated[tuple[Inner, ...], Field(max_length=3, description="Several.")] = ()


class Kind(Model):
    """A kind."""

    metadata: ObjectMeta
    spec: Spec


def test_references_nulls_and_noise_are_gone() -> None:
    spec = build_schema(Kind)["properties"]["spec"]
    assert spec["properties"]["inner"] == {
        "type": "object",
        "description": "Maybe.",
        "properties": {"text": {"type": "string", "maxLength": 5, "description": "Some text."}},
    }
    assert spec["properties"]["colour"] == {
        "type": "string",
        "enum": ["red"],
        "default": "red",
        "description": "Which.",
    }
    assert spec["properties"]["items"]["items"]["type"] == "object"
    assert "required" not in spec


def test_an_unbounded_field_is_refused_by_its_path() -> None:
    class Loose(Model):
        """Loose."""

        names: Annotated[tuple[str, ...], Field(max_length=2)]

    class LooseKind(Model):
        """Loose."""

        metadata: ObjectMeta
        spec: Loose

    with pytest.raises(ValueError, match=r"spec\.names\[\]"):
        build_schema(LooseKind)


def test_status_is_bounded_and_rules_are_carried() -> None:
    schema = build_schema(MicroApp)
    assert schema["x-kubernetes-validations"]
    assert schema["properties"]["spec"]["properties"]["egress"]["x-kubernetes-list-map-keys"] == ["name"]
    assert schema["properties"]["status"]["properties"]["conditions"]["maxItems"] == 32


def test_the_committed_files_are_what_the_model_gives() -> None:
    assert {p.name: p.read_text() for p in CRDS.glob("*.yaml")} == render()


@given(st.integers(min_value=1, max_value=10**6))
def test_quantities_survive_being_printed(number: int) -> None:
    assert parse_quantity(format_cpu(parse_quantity(f"{number}m"))) == parse_quantity(f"{number}m")
    assert parse_quantity(format_memory(parse_quantity(f"{number}Ki"))) == parse_quantity(f"{number}Ki")


@pytest.mark.parametrize("text", ["", "1.2345", "1e3", "-1", "1 Gi", "Gi", "1gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


def test_a_free_form_map_is_refused_since_the_api_server_would_prune_its_keys() -> None:
    class Mapped(Model):
        """Mapped."""

        metadata: ObjectMeta
        spec: dict[str, str]

    with pytest.raises(ValueError, match="pruned"):
        build_schema(Mapped)


def test_a_union_is_refused() -> None:
    class Either(Model):
        """Either."""

        metadata: ObjectMeta
        spec: Inner | Spec

    with pytest.raises(ValueError, match="no structural schema"):
        build_schema(Either)


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below ``schema``, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def schema_of(kind: CrdKind) -> dict[str, Any]:
    schema: dict[str, Any] = build_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)


FOREIGN = {"$ref", "$defs", "anyOf", "allOf", "oneOf", "const", "title", "additionalProperties"}


@EACH_KIND
def test_every_schema_is_structural_and_free_of_nulls(kind: CrdKind) -> None:
    for path, node in nodes(schema_of(kind)):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not FOREIGN & set(node), path
        assert None not in node.get("enum", [0]), path
        assert node.get("default", 0) is not None, path


@EACH_KIND
def test_every_field_is_documented(kind: CrdKind) -> None:
    """What ``kubectl explain`` prints; items speak through their list, metadata through the API server."""
    bare = [
        path
        for path, node in nodes(schema_of(kind))
        if not node.get("description", "").endswith(".") and path != "metadata" and not path.endswith("[]")
    ]
    assert bare == []


@EACH_KIND
def test_columns_and_selectors_name_fields_that_exist(kind: CrdKind) -> None:
    """A path that leads nowhere shows as an empty column, which nobody reports."""
    known = {path for path, _ in nodes(schema_of(kind))}
    for _, _, path, _ in kind.columns:
        field = path.removeprefix(".").replace('?(@.type=="Ready")', "").replace('?(@.type=="Approved")', "")
        assert field in known or field == "metadata.creationTimestamp", path
    assert {path.removeprefix(".") for path in kind.selectable} <= known


def test_networks_are_guarded_alike_wherever_they_stand() -> None:
    app, connector = dict(nodes(build_schema(MicroApp))), dict(nodes(build_schema(Connector)))
    rules = app["spec.egress[].cidr"]["x-kubernetes-validations"]
    assert len(rules) == 2
    assert connector["spec.cidrs[]"]["x-kubernetes-validations"] == rules


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "tenants.yaml").write_text("{}"),
        lambda folder: (folder / "tenants.yaml").unlink(),
        lambda folder: (folder / "left-over.yaml").write_text("{}"),
    ],
    ids=["changed", "missing", "left-over"],
)
def test_check_sees_a_difference_and_a_run_mends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["crdgen", *arguments])
        return crdgen.main()

    chart = tmp_path / "chart"
    monkeypatch.setattr(crdgen, "FOLDERS", (chart, tmp_path))
    assert (run(), run("--check")) == (0, 0)
    damage(tmp_path)
    assert run("--check") == 1
    assert "make crd" in capsys.readouterr().err
    assert (run(), run("--check")) == (0, 0)
    assert {p.name: p.read_text() for p in chart.glob("*.yaml")} == render()


UNREADABLE = (
    "2026-12-01T00:00:00+25:00 2026-12-01T00:00:00+24:00 0000-01-01T00:00:00Z 2026-02-31T00:00:00Z "
    "2026-12-01T00:00:60Z 2026-12-01t00:00:00z 2026-12-01T00:00:00"
)


@pytest.mark.parametrize("text", UNREADABLE.split())
def test_a_time_that_cannot_be_read_is_refused_and_never_reaches_the_gates(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Timestamp).validate_python(text)


@pytest.mark.parametrize("text", ["2026-12-01T00:00:00Z", "2026-12-01T00:00:00.123456Z", "2026-12-01T00:00:00-23:59"])
def test_a_time_the_api_server_takes_is_read(text: str) -> None:
    assert TypeAdapter(Timestamp).validate_python(text) == text


FILES = Path(__file__).parents[2] / "charts/microapp-operator/files"


def roles() -> dict[str, dict[str, Any]]:
    return {r["metadata"]["name"]: r for r in yaml.safe_load_all((FILES / "clusterroles.yaml").read_text()) if r}


def test_no_role_reads_secrets_or_takes_everything() -> None:
    for name, role in roles().items():
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"], name
            assert "*" not in "".join(rule["apiGroups"] + rule["resources"] + rule["verbs"]), name


def test_only_reviewers_may_approve_and_their_role_is_aggregated_nowhere() -> None:
    writers = {
        name
        for name, role in roles().items()
        for rule in role["rules"]
        if "approvals" in rule["resources"] and set(rule["verbs"]) - {"get", "list", "watch"}
    }
    assert writers == {"microapps-reviewer"}
    assert "labels" not in roles()["microapps-reviewer"]["metadata"]


def test_production_is_the_owners_role_without_the_look_inside() -> None:
    owner, production = roles()["microapps-owner"]["rules"], roles()["microapps-owner-production"]["rules"]
    assert [rule for rule in owner if rule not in production] == [
        {"apiGroups": [""], "resources": ["pods/exec", "pods/portforward"], "verbs": ["create"]}
    ]
    assert all(rule["verbs"] == ["get", "list", "watch"] for rule in production)


# rank, cpu, memory, pods, storage, replicas, endpoints, reviewers, ttl, max ttl, rotation, logs, backup
TABLE = {
    "low": "10 500m 512Mi 5 1Gi 1 3 0 1h 24h 90 30 - - -",
    "medium": "20 2 2Gi 10 10Gi 3 10 1 30m 8h 90 90 24h 24h 90",
    "high": "30 4 8Gi 20 100Gi 10 32 2 15m 1h 30 365 1h 4h 30",
}
# classifications, connectors only, egress approved, expiring, roles, hardened classes
GATES = {
    "low": (2, False, False, False, (), ()),
    "medium": (3, False, True, False, (), ()),
    "high": (4, True, True, True, ("security",), ("gvisor", "kata")),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_tiers_that_ship_have_the_figures_of_the_design(name: str) -> None:
    s = load_tiers()[name].spec
    q, backup = s.quota, s.backup
    days = (backup.rpo, backup.rto, backup.drill_days) if backup else ("-", "-", "-")
    life = (s.credentials.ttl, s.credentials.max_ttl, s.rotation_days, s.log_retention_days)
    limits = (s.rank, q.cpu, q.memory, q.pods, q.storage, s.replicas_max, s.egress.max_endpoints)
    assert " ".join(map(str, (*limits, s.approvals.reviewers, *life, *days))) == TABLE[name]
    gates = (s.egress.connectors_only, s.egress.approval_required, s.egress.expiry_required)
    people, classes = tuple(g.name for g in s.approvals.groups), s.runtime.hardened_class_names
    assert (len(s.classifications), *gates, people, classes) == GATES[name]


@pytest.mark.parametrize("name", TABLE)
def test_a_tier_has_room_for_an_app_of_default_size_beside_all_sidecars(name: str) -> None:
    """All replicas the tier allows, each with its sidecars, and one more while a rollout replaces them."""
    spec, size = load_tiers()[name].spec, Resources()
    pods = spec.replicas_max + 1
    assert pods <= spec.quota.pods
    for asked, reserve, quota in (
        (size.cpu, spec.sidecar_reserve.cpu, spec.quota.cpu),
        (size.memory, spec.sidecar_reserve.memory, spec.quota.memory),
    ):
        assert pods * (parse_quantity(asked) + parse_quantity(reserve)) <= parse_quantity(quota)
        assert spec.quota.pods * parse_quantity(reserve) < parse_quantity(quota)
