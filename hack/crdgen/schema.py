"""From pydantic's JSON schema to what a CRD may carry: no references, no nulls, nothing unbounded. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
_DROPPED = frozenset({"title", "additionalProperties", "$defs"})
_MAPS = frozenset({"properties"})


def build_schema(kind: type[BaseModel]) -> Schema:
    """The structural schema of ``kind``: metadata opened to the API server, ValueError for anything unbounded."""
    raw = kind.model_json_schema(by_alias=True)
    definitions = {**raw.get("$defs", {}), "ObjectMeta": {"type": "object"}}  # its schema is the API server's own
    schema: Schema = _flatten(raw, definitions)
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": "Version of the schema of this object."},
        "kind": {"type": "string", "description": "Kind of this object."},
        **schema["properties"],
        "metadata": {"type": "object"},
    }
    schema["required"] = ["spec"]
    problems = [p for part in ("spec", "status") for p in _unbounded(schema["properties"].get(part, {}), part)]
    if problems:
        raise ValueError(f"{kind.__name__} is unbounded at {', '.join(problems)}: CEL rules would be refused")
    return schema


def _flatten(node: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(node, list):
        return [_flatten(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    merged = _resolve(node, definitions)
    if merged.get("additionalProperties"):
        raise ValueError(f"{merged.get('title', 'a field')} is a free-form map: its keys would be pruned")
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    flat: Schema = {}
    for key, value in merged.items():
        if key in _DROPPED or (key == "default" and _is_noise(value)):
            continue
        if key in _MAPS:
            flat[key] = {name: _flatten(each, definitions) for name, each in value.items()}
        else:
            flat[key] = _flatten(value, definitions)
    return flat


def _resolve(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """``node`` with its reference, or the one arm of its optional, in place; what stands beside it wins."""
    while True:
        if "$ref" in node:
            target = definitions[node["$ref"].rsplit("/", 1)[1]]
            node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
        elif "anyOf" in node:
            arms = [arm for arm in node["anyOf"] if arm.get("type") != "null"]
            if len(arms) != 1:
                raise ValueError(f"a union has no structural schema: {node}")
            node = {**arms[0], **{k: v for k, v in node.items() if k != "anyOf"}}
        else:
            return node


def _is_noise(default: Any) -> bool:
    """Defaults that would only clutter the object: absent and empty mean the same to the model."""
    return default is None or default in ("", [], {}) or isinstance(default, dict)


def _unbounded(node: Schema, path: str) -> Iterator[str]:
    kind = node.get("type")
    if node.get("x-kubernetes-int-or-string") or (kind == "string" and "enum" not in node):
        if "maxLength" not in node:
            yield path
    elif kind == "array":
        if "maxItems" not in node:
            yield path
        yield from _unbounded(node["items"], f"{path}[]")
    for name, child in node.get("properties", {}).items():
        yield from _unbounded(child, f"{path}.{name}")
