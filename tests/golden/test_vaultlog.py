"""A log that a real Vault 1.21.1 wrote, and the events it becomes. ``python -m hack.vaultlog`` records another one."""

import json
from pathlib import Path

from microapp_operator.vaultlog import Transformer

HERE = Path(__file__).parent / "vaultlog"
WHY = {"vault://secret/finance/expenses/api": "finance/tier/low"}


def test_a_real_servers_log_becomes_these_events(golden_update: bool) -> None:
    transformer = Transformer(lambda principal, secret: WHY.get(secret) if "expenses" in principal else None)
    lines = (HERE / "audit.log").read_bytes().splitlines()
    events = [e for line in lines for e in transformer.feed(line)] + list(transformer.finish())
    text = "".join(json.dumps(e) + "\n" for e in events)
    if golden_update:
        (HERE / "events.jsonl").write_text(text)
    assert (HERE / "events.jsonl").read_text() == text
    assert (transformer.lines, transformer.malformed) == (len(lines), 0)
