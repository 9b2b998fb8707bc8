"""Arithmetic on Kubernetes quantities (resource.Quantity), exact: no floats.

Own code because the client library's parser may only be imported by adapters.
"""

import math
import re
from decimal import Decimal

_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}
_FORM = re.compile(r"^([0-9]+(?:\.[0-9]{1,3})?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")


def parse_quantity(text: str) -> Decimal:
    """The value of ``text`` in base units (cores, bytes, pieces); ValueError when it is no quantity."""
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2 or 512Mi")
    return Decimal(match[1]) * _SUFFIXES[match[2] or ""]


def format_cpu(cores: Decimal) -> str:
    """``cores`` as whole cores or millicores, the form the API server prints; rounded up, never to none."""
    millis = math.ceil(cores * 1000)
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def format_memory(size: Decimal) -> str:
    """``size`` in bytes as the largest binary unit that divides it; rounded up to whole bytes."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _SUFFIXES[suffix] == 0:
            return f"{int(size / _SUFFIXES[suffix])}{suffix}"
    return str(math.ceil(size))
