"""Documents changed at random places, the way a broken or hostile client would change them."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]
"""Keys and indices that lead to a place in a document."""

_TELLING = ("", "DELETE", "Pod", "production", "low", "system:masters", "status", "windows", "\x00", "é" * 300)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(_TELLING)
)
junk = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("name"), inner, max_size=3)
    ),
    max_leaves=5,
)
"""Any JSON, and some numbers that JSON has no words for."""


def places(document: Any, begin: Path = ()) -> Iterator[Path]:
    """All places in ``document`` but its root."""
    if isinstance(document, dict | list):
        entries = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in entries:
            yield (*begin, key)
            yield from places(value, (*begin, key))


@st.composite
def mutated(draw: st.DrawFn, document: Any, spared: tuple[Path, ...] = (), most: int = 3) -> Any:
    """``document`` with one to ``most`` values replaced, keys taken away or keys added.

    spared: places that stay as they are, with everything that leads to them.
    """
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        open_places = [p for p in places(changed) if not any(_touches(p, each) for each in spared)]
        *way, last = draw(st.sampled_from(open_places))
        parent = changed
        for key in way:
            parent = parent[key]
        if isinstance(parent, dict):
            _change_object(draw, parent, str(last))
        else:
            parent[last] = draw(junk)
    return changed


def _change_object(draw: st.DrawFn, parent: dict[str, Any], key: str) -> None:
    match draw(st.sampled_from(("replace", "remove", "add"))):
        case "replace":
            parent[key] = draw(junk)
        case "remove":
            del parent[key]
        case _:
            parent.setdefault(draw(st.text(max_size=4)), draw(junk))


def _touches(place: Path, spared: Path) -> bool:
    """One leads to the other."""
    shared = min(len(place), len(spared))
    return place[:shared] == spared[:shared]
