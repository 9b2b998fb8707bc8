"""What a registry wants to see before it answers: the header WWW-Authenticate (RFC 9110, section 11.6.1)."""

import re
from collections.abc import Iterable, Mapping

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))\s*(?:,|$)', re.ASCII)
_SCHEME = re.compile(rf"[\s,]*({_WORD})(?:\s+|$)", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")


def parse_challenges(headers: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """The parameters of each scheme that is offered, both in lower case; of what can't be read, what comes before."""
    offers: dict[str, dict[str, str]] = {}
    for header in headers:
        place = 0
        while scheme := _SCHEME.match(header, place):
            place, parameters = scheme.end(), offers.setdefault(scheme[1].lower(), {})
            while parameter := _PARAMETER.match(header, place):
                place = parameter.end()
                quoted, bare = parameter[2], parameter[3]
                parameters[parameter[1].lower()] = bare if quoted is None else _ESCAPED.sub(r"\1", quoted)
    return offers
