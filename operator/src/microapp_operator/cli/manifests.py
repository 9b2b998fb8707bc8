"""Reads manifests so that every finding can name file and line. What is broken is a ``Problem``, never an exception.

YAML is read as Kubernetes reads it, but stricter where a slip would hide something: no key twice, no key that is no
text, no alias that multiplies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from microapp_operator.cli.documents import line_of, read_documents
from microapp_operator.cli.sources import Problem, Source
from microapp_operator.model import Manifest

_RENDER: Final = "Render it first and judge the result: {} | microapp-operator validate -"
_SIDE_FILES: Final = {
    "kustomization.yaml": "kustomize build <folder>",
    "kustomization.yml": "kustomize build <folder>",
    "chart.yaml": "helm template <folder>",
    "values.yaml": "helm template <folder>",
}
_EXAMPLE: Final = "apiVersion: microapps.dev/v1alpha1 and kind: MicroApp"


@dataclass(frozen=True, slots=True)
class Located:
    """One object, and where it stands. file: as given. node: what it was made of. start: its first line, from 1."""

    file: str
    manifest: Manifest
    node: yaml.Node
    start: int

    def line_of(self, path: str) -> int:
        """Line of the field ``path`` (``spec.egress[0].port``), or of the closest thing above it that is there."""
        return line_of(self.node, path) if path else self.start

    @property
    def name(self) -> str:
        """Kind, namespace and name, as people say it."""
        metadata = self.manifest["metadata"]
        where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
        return f"{self.manifest['kind']} {where}{metadata.get('name') or metadata.get('generateName') or '(no name)'}"


@dataclass(frozen=True, slots=True)
class Aside:
    """A document that is no object of Kubernetes and doesn't pretend to be one. why: what it is instead."""

    file: str
    line: int
    why: str


def read_manifests(source: Source) -> Iterator[Located | Aside | Problem]:
    """Every object in ``source``, lists taken apart."""
    side = _SIDE_FILES.get(source.name.replace("\\", "/").rpartition("/")[2].lower())
    if side:
        yield Aside(source.name, 1, f"a file of {side.split(' ', maxsplit=1)[0]}. {_RENDER.format(side)}")
        return
    for document in read_documents(source):
        if isinstance(document, Problem):
            yield document
        elif document.value is not None:
            yield from _objects(source, document.node, document.value, document.line)


def _objects(source: Source, node: yaml.Node, value: Any, line: int) -> Iterator[Located | Aside | Problem]:
    def problem(what: str, fix: str) -> Problem:
        return Problem(source.name, line, what, fix)

    if not isinstance(value, dict) or not ({"apiVersion", "kind"} & value.keys()):
        if source.given:
            yield problem("is no Kubernetes object: it has neither apiVersion nor kind.", f"Begin it with {_EXAMPLE}.")
        else:
            yield Aside(source.name, line, "no Kubernetes object: it has neither apiVersion nor kind.")
        return
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            yield problem(f"needs {field}, as text.", f"Write it as in {_EXAMPLE}.")
            return
    if value["kind"].endswith("List") and "items" in value:
        yield from _items(source, node, value["items"], line)
    elif value["apiVersion"].startswith("kustomize.config.k8s.io/"):
        yield Aside(source.name, line, f"a file of kustomize. {_RENDER.format('kustomize build <folder>')}")
    elif not isinstance(value.get("metadata"), dict):
        yield problem(f"{value['kind']} needs metadata, with a name in it.", "Add metadata: {name: …}.")
    else:
        yield Located(source.name, value, node, line)


def _items(source: Source, node: yaml.Node, items: Any, line: int) -> Iterator[Located | Aside | Problem]:
    if not isinstance(items, list):
        yield Problem(source.name, line_of(node, "items"), "items is no list.", "Begin each object in it with a dash.")
        return
    listed = next(value for key, value in node.value if key.value == "items")
    for item, inner in zip(items, listed.value, strict=True):
        inner_line = int(inner.start_mark.line) + 1
        if item is None:
            yield Problem(source.name, inner_line, "is an empty item of a list.", "Remove the dash.")
        else:
            yield from _objects(source, inner, item, max(line, inner_line))
