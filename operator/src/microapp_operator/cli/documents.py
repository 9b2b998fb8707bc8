"""YAML and JSON into plain values, with the line of every field. Refuses what Kubernetes' own reader would refuse."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from microapp_operator.cli.sources import Problem, Source

_DEPTH_MAX: Final = 100
"""Levels; beyond some thousand the parser itself would crash, and no manifest has more than thirty."""
_SIZE_MAX: Final = 16 * 2**20
"""Characters and values of one document once its aliases are written out."""
_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = frozenset(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Line breaks (YAML 1.1, 4.2)."""
_STEP: Final = re.compile(r"\[(\d+)\]|\[([^\]]+)\]|([^.\[\]]+)")
_SURROGATES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_HELM: Final = (
    "It looks like a template of Helm; render it first: helm template <folder> | microapp-operator validate -"
)


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, what it was made of, and the line on which it begins, from 1."""

    value: Any
    node: yaml.Node
    line: int


def read_documents(source: Source) -> Iterator[Document | Problem]:
    """All documents of ``source`` up to the first fault, which comes last."""
    try:
        text = _joined(source.data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = source.data.count(b"\n", 0, error.start) + 1
        yield Problem(source.name, line, f"is no text in UTF-8: {error.reason}.", "Save it as UTF-8.")
        return
    deep = _too_deep(text)
    if deep:
        yield Problem(source.name, deep, f"is nested deeper than {_DEPTH_MAX} levels.", "Flatten it.")
        return
    loader, begin = _Loader(text), 1
    try:
        while loader.check_node() and (node := loader.get_node()) is not None:
            begin = int(node.start_mark.line) + 1
            fault = _Check(source.name).fault(node)
            if fault is not None:
                yield replace(fault, fix=_HELM) if "{{" in text else fault
                return
            yield Document(loader.construct_document(node), node, begin)
    except yaml.YAMLError as error:
        yield _broken(source.name, text, error)
    except (ValueError, KeyError) as error:  # from PyYAML's constructors
        what = f"has a value that doesn't fit the tag before it: {error}."
        yield Problem(source.name, begin, what, "Remove the tag, or correct the value.")
    finally:
        loader.dispose()


def line_of(node: yaml.Node, path: str) -> int:
    """Line of the field ``path`` below ``node``, or of the closest thing above it that is there."""
    line = int(node.start_mark.line) + 1
    for index, bracketed, name in _STEP.findall(path):
        found = _child(node, bracketed or name, index)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node, name: str, index: str) -> tuple[int, yaml.Node] | None:
    """Line and value; of a key that comes twice (through a merge) the last, as it is the one that counts."""
    if isinstance(node, yaml.MappingNode) and name:
        for key, value in reversed(node.value):
            if key.value == name:
                return int(key.start_mark.line) + 1, value
    if isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
        item = node.value[int(index)]
        return int(item.start_mark.line) + 1, item
    return None


def _joined(text: str) -> str:
    """JSON writes characters beyond the first plane as two escapes (RFC 8259, 7), which YAML doesn't know."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text

    def join(match: re.Match[str]) -> str:
        pair = bytes.fromhex(match[2] + match[3])
        return match[1] + pair.decode("utf-16-be")

    return _SURROGATES.sub(join, text)


def _too_deep(text: str) -> int:
    """The line on which nesting goes too deep, 0 when it never does."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _DEPTH_MAX and event.start_mark is not None:
                    return int(event.start_mark.line) + 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError:
        return 0  # said when it is read
    return 0


def _broken(file: str, text: str, error: yaml.YAMLError) -> Problem:
    if not isinstance(error, yaml.MarkedYAMLError):
        why = str(error).partition("\n")[0]
        return Problem(file, 0, f"is no text: {why}.", "Give YAML or JSON; this looks like a binary file.")
    mark = error.problem_mark or error.context_mark
    lines = _BREAK.split(text.rstrip())
    line = min(mark.line + 1, len(lines)) if mark else 0  # what is missing at the end is missing on the last line
    fix = "Check indentation, quotes and brackets there."
    if "{{" in text:
        fix = _HELM
    elif line and "\t" in lines[line - 1]:
        fix = "Indent with spaces; YAML takes no tabs there."
    return Problem(file, line, f"is neither YAML nor JSON: {error.problem or error.context}.", fix)


class _Check:
    """What a document must not have. sizes: of the nodes seen, aliases written out."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._sizes: dict[int, int] = {}
        self._inside: set[int] = set()

    def fault(self, root: yaml.Node) -> Problem | None:
        """The first thing wrong with it, None for a sound one."""
        try:
            if self._size(root) > _SIZE_MAX:
                raise _Fault(root, "grows too large once its aliases are written out.", "Write out what is meant.")
        except _Fault as fault:
            return Problem(self._file, int(fault.node.start_mark.line) + 1, fault.what, fault.fix)
        return None

    def _size(self, node: yaml.Node) -> int:
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        if id(node) in self._inside:
            raise _Fault(node, "contains itself through an alias.", "Write out what is meant.")
        if node.tag not in _TAGS:
            raise _Fault(node, f"has the tag {node.tag}, for which JSON has no words.", "Remove the tag.")
        self._inside.add(id(node))
        if isinstance(node, yaml.MappingNode):
            total = self._mapping(node)
        elif isinstance(node, yaml.ScalarNode):
            total = 1 + len(node.value)
            _require_finite(node)
        else:
            total = 1 + sum(map(self._size, node.value))
        self._inside.discard(id(node))
        self._sizes[id(node)] = total
        return total

    def _mapping(self, node: yaml.MappingNode) -> int:
        seen: set[str] = set()
        total = 1
        for key, value in node.value:
            if key.tag not in (f"{_TAG}str", f"{_TAG}merge"):
                shown = f"the key {key.value}" if isinstance(key, yaml.ScalarNode) else "a key of several values"
                raise _Fault(key, f"{shown} is no text to YAML.", "Put it in quotes.")
            if key.value in seen:
                raise _Fault(key, f"the key {key.value} is there twice.", "Keep one of them.")
            seen.add(key.value)
            total += 1 + len(key.value) + self._size(value)
        return total


class _Fault(Exception):
    """A node that must not be, and why."""

    def __init__(self, node: yaml.Node, what: str, fix: str) -> None:
        super().__init__(what)
        self.node, self.what, self.fix = node, what, fix


def _require_finite(node: yaml.ScalarNode) -> None:
    if node.tag != f"{_TAG}float":
        return
    value = re.sub(r"\.(?=inf|nan)", "", node.value.lower().replace("_", ""))
    try:
        finite = math.isfinite(float(value))
    except ValueError:
        return  # said when it is read
    if not finite:
        raise _Fault(node, f"{node.value} is no number that JSON knows.", "Write a finite number, or put it in quotes.")


class _Loader(yaml.CSafeLoader):
    """YAML's types as Kubernetes reads them: no dates, no numbers to the base of 60, 1e3 is a number."""


_FLOAT: Final = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_INT: Final = re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$")
_OTHERS: Final = tuple(f"{_TAG}{name}" for name in ("timestamp", "value", "int", "float"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OTHERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))
