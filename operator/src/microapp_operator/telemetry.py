"""How the operator tells what it does: JSON log lines without secrets.

Any layer may use it, so it imports nothing of ours, and must not import kopf, kubernetes or aiohttp.
"""

import json as stdlib_json
import logging
import re
import sys
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED: Final = "[redacted]"
_TOO_DEEP: Final = "[too deep]"
_DEPTH: Final = 12
_WORDS: Final = (
    "password|passwd|passphrase|secret|token|authorization|api_?key|access_?key|private_?key|credential|cookie"
)
_SECRET_KEY: Final = re.compile(_WORDS)
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]")
_SECRET_WORDS: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{16,}"), rf"\1 {REDACTED}"
"""Bearer and basic credentials."""
_SECRET_TEXT: Final = (
    ("eyJ", re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), REDACTED),
    ("hv", re.compile(r"\bhv[sbr]\.[\w-]{8,}"), REDACTED),
    ("://", re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{REDACTED}@"),
    ("=", re.compile(rf"(?i)((?:{_WORDS})\w*=)[^\s&,;]+"), rf"\1{REDACTED}"),
    (":", re.compile(rf"(?i)((['\"])[\w-]*(?:{_WORDS})[\w-]*\2\s*:\s*(['\"])).*?\3"), rf"\1{REDACTED}\3"),
)
"""JSON web tokens, Vault tokens; passwords in URLs, key=value pairs, printed dicts. Each after a text without which
it can't be there: nearly all texts hold none, and to see that takes a tenth of the time of the expressions."""

_CHATTY: Final = ("kopf", "kubernetes", "aiohttp.access", "asyncio", "urllib3", "hvac")
"""Below WARNING they log per event, and the API clients whole bodies, which may hold secrets."""


@lru_cache(maxsize=1024)
def is_secret_key(key: str) -> bool:
    """True when a value under ``key`` must not be shown, by what the key is called."""
    return _SECRET_KEY.search(_PUNCTUATION.sub("", key.lower())) is not None


def scrub(text: str) -> str:
    """``text`` without the credentials that can be told by their form."""
    if len(text.split(maxsplit=1)) > 1:
        pattern, replacement = _SECRET_WORDS
        text = pattern.sub(replacement, text)
    for mark, pattern, replacement in _SECRET_TEXT:
        if mark in text:
            text = pattern.sub(replacement, text)
    return text


def redact(value: Any, depth: int = _DEPTH) -> Any:
    """``value`` as plain JSON types, with everything under a secret-looking key replaced, at any depth."""
    if type(value) is str:  # nearly always, and the tests below take longer than the rest
        return scrub(value)
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, Mapping | list | tuple | Set):
        return _leaf(value)
    if depth == 0:
        return _TOO_DEEP
    if isinstance(value, Mapping):
        return {str(k): REDACTED if is_secret_key(str(k)) else redact(v, depth - 1) for k, v in value.items()}
    return [redact(item, depth - 1) for item in value]


def _leaf(value: Any) -> Any:
    """What has no parts; unknown objects as their text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    return scrub(value.isoformat() if isinstance(value, datetime) else str(value))


def redact_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """``redact`` as a structlog processor."""
    plain: dict[str, Any] = redact(event)
    return plain


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One line of JSON: when, how bad, who, what; then the rest in the order it was bound."""
    head = {key: event.pop(key) for key in ("timestamp", "level", "logger", "event") if key in event}
    line = {**head, **event}
    try:
        return orjson.dumps(line).decode()
    except TypeError:  # lone surrogates, integers past 64 bits: rare, and no reason to lose the line
        return stdlib_json.dumps(line)


def configure_logging(level: str = "INFO", json: bool = True, *, stream: TextIO | None = None) -> None:
    """Send structlog and standard-library records through one renderer to ``stream`` (default stderr).

    ``json`` False renders for a person's terminal. ValueError names a level that doesn't exist.
    """
    known = logging.getLevelNamesMapping()
    number = known.get(level.upper())
    if number is None:
        raise ValueError(f"there is no log level {level!r}; use one of {', '.join(known)}.")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    rendering: list[Processor] = [
        structlog.processors.format_exc_info,
        redact_event,
        render_json if json else plain,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=partial(_Lines, handler),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class _Lines:
    """Writes our lines where ``handler`` writes those of the libraries, without a record of the standard library's:
    to make, copy and format one takes longer than all else about a line.
    """

    def __init__(self, handler: logging.StreamHandler[TextIO], name: str) -> None:
        self._handler, self.name = handler, name

    def info(self, line: str) -> None:
        handler = self._handler
        handler.acquire()
        try:
            handler.stream.write(f"{line}\n")
            handler.flush()
        except Exception:  # noqa: BLE001 - as the standard library does: a line that can't be written stops nobody
            handler.handleError(logging.LogRecord(self.name, logging.ERROR, "", 0, line, None, None))
        finally:
            handler.release()

    debug = warning = error = critical = info
