"""The one door from raw dicts to models."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from microapp_operator.errors import InvalidSpec

T = TypeVar("T", bound=BaseModel)


def parse(kind: type[T], raw: Mapping[str, Any]) -> T:
    """``raw`` as ``kind``; InvalidSpec with the path of the first field at fault when it is none."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        more = error.error_count() - 1
        tail = f" (and {more} more)" if more else ""
        raise InvalidSpec(path=_json_path(first["loc"]), message=f"{first['msg']}{tail}.") from None


def _json_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")
