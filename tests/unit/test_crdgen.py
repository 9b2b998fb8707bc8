"""From models to what a CRD may carry."""

from enum import StrEnum
from typing import Annotated

import pytest
from hack.crdgen.__main__ import CRDS, render
from hack.crdgen.schema import build_schema
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from microapp_operator.model import MicroApp
from microapp_operator.model.common import Model, ObjectMeta
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
