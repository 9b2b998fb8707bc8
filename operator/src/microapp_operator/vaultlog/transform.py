"""Pairs requests with their responses by id, in bounded memory, and makes one event of each pair.

An event is made when the response comes, whatever came first, and once per request. A request whose response
doesn't come before very many others is told of as unanswered: Vault or its disk ended in between.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from microapp_operator.vaultlog.entry import Event, read_entry

Justify = Callable[[str, str], str | None]
"""(principal, secret_id) to what permits it; None when nothing known does."""

PENDING: Final = 4096
"""Requests that may wait for their response, and answered ones remembered in case the request comes later."""
LONGEST: Final = 8 * 2**20
"""Bytes of a line; Vault's own limit of a request is 32 MiB, of which an audit log holds digests."""


class Transformer:
    """justify joins what permits a use. Counters are for metrics."""

    def __init__(self, justify: Justify) -> None:
        self._justify = justify
        self._pending: OrderedDict[str, Event] = OrderedDict()
        self._answered: OrderedDict[str, None] = OrderedDict()
        self.lines = self.malformed = self.unmatched = self.unanswered = 0

    def feed(self, line: bytes) -> Iterator[Event]:
        """Events that ``line`` completes: none, one, or one and others that were waited for too long."""
        self.lines += 1
        entry = _parse(line)
        if entry is None:
            self.malformed += bool(line.strip())
            return
        found = read_entry(entry)
        if found is None:
            return
        request_id, event = found
        if request_id in self._answered:
            return
        if entry["type"] == "response":
            self._pending.pop(request_id, None)
            self._remember(request_id)
            yield self._justified(event)
        elif request_id not in self._pending:
            self._pending[request_id] = event
            yield from self._overdue(PENDING)

    def finish(self) -> Iterator[Event]:
        """Nothing more comes: what still waits is told of."""
        yield from self._overdue(0)

    def state(self) -> dict[str, Any]:
        """What has to be kept between two processes, as JSON types."""
        return {"pending": [[key, event] for key, event in self._pending.items()], "answered": list(self._answered)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state`` of an earlier process."""
        self._pending = OrderedDict((str(key), dict(event)) for key, event in state["pending"])
        self._answered = OrderedDict.fromkeys(map(str, state["answered"]))

    def _overdue(self, limit: int) -> Iterator[Event]:
        while len(self._pending) > limit:
            request_id, event = self._pending.popitem(last=False)
            self._remember(request_id)
            self.unanswered += 1
            yield self._justified({**event, "result": "unanswered"})

    def _remember(self, request_id: str) -> None:
        self._answered[request_id] = None
        if len(self._answered) > PENDING:
            self._answered.popitem(last=False)

    def _justified(self, event: Event) -> Event:
        why = self._justify(event["principal"], event["secret_id"])
        if why is None and event["result"] == "success":
            self.unmatched += 1
        return {**event, "justification": why}


def _parse(line: bytes) -> dict[str, Any] | None:
    """The entry in ``line``; None when there is none in it."""
    if len(line) > LONGEST:
        return None
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if (
        isinstance(entry, dict)
        and entry.get("type") in ("request", "response")
        and isinstance(entry.get("request"), dict)
    ):
        return entry
    return None
