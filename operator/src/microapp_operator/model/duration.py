"""Durations such as ``1h30m``, as the model writes them. Imports nothing of ours."""

import re
from typing import Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> int:
    """Seconds of a Duration of the model, which has numbers each followed by s, m or h."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smh])", text))
