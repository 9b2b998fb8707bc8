"""Pieces of OTTL, the Collector's language of statements. Pure; imports nothing."""

import json
from collections.abc import Iterable
from typing import Any


def quoted(text: str) -> str:
    """As a text; in a configuration a dollar is doubled."""
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")


def listed(texts: Iterable[str]) -> str:
    """As a list of texts."""
    return f"[{', '.join(map(quoted, texts))}]"


def group(context: str, statements: Iterable[str], mode: str = "propagate") -> dict[str, Any]:
    """Statements of one context. mode: what an error does; by itself the request fails, and comes again."""
    return {"context": context, "error_mode": mode, "statements": list(statements)}
