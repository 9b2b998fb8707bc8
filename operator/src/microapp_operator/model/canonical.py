"""Canonical JSON and its SHA-256: the one way the product fingerprints content."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel


def canonical(value: object) -> bytes:
    """``value`` (JSON types and models) as JSON with sorted keys and no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of ``value``, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")
