"""Stands for Datadog's OTLP intake of logs: POST /v1/logs, protobuf, compressed, with an API key in a header."""

import gzip
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from tests.support.otlp import Receiver, plain
from tests.support.protobuf import read_request


@dataclass
class Intake(Receiver):
    """keys: by whom it was asked."""

    keys: set[str] = field(default_factory=set)

    def read(self, headers: Message, sent: bytes) -> dict[str, Any]:
        """A request, as Datadog's documentation has it be; at most 5.1 MiB of it, before compression."""
        assert headers["Content-Type"] == "application/x-protobuf"
        assert headers["Content-Encoding"] == "gzip"
        content = gzip.decompress(sent)
        assert len(content) <= 5.1 * 2**20
        self.keys.add(headers["dd-api-key"])
        return read_request(content)

    def attributes(self) -> list[dict[str, Any]]:
        """Those of each record."""
        return [plain(record["attributes"]) for record in self.records]
