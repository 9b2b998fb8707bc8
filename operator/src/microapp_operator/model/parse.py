"""The one door from raw dicts to models."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from microapp_operator.errors import InvalidSpec
from microapp_operator.reasons import Finding, Reason

T = TypeVar("T", bound=BaseModel)


def parse(kind: type[T], raw: Mapping[str, Any]) -> T:
    """``raw`` as ``kind``; InvalidSpec with the path of the first field at fault when it is none."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first, *others = _findings(error)
        tail = f" (and {len(others)} more)" if others else ""
        raise InvalidSpec(path=first.path, message=f"{first.message.removesuffix('.')}{tail}.") from None


def find_faults(kind: type[BaseModel], raw: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Everything that keeps ``raw`` from being a ``kind``, a finding a field; none when it is one."""
    try:
        kind.model_validate(raw)
    except ValidationError as error:
        return _findings(error)
    return ()


def _findings(error: ValidationError) -> tuple[Finding, ...]:
    faults = error.errors(include_url=False, include_input=False)
    return tuple(Finding(Reason.INVALID_SPEC, _json_path(f["loc"]), f"{f['msg']}.") for f in faults)


def _json_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")
