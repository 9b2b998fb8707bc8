"""A record that the log gateway sends itself, and asks each sink's backend for until it gives it back.

Settings, the record, what became of it, and the order of things; what talks to others is in adapters. Must not import
anything that does I/O.
"""

from microapp_operator.canary.ledger import Answer, Ledger, Why
from microapp_operator.canary.record import Canary
from microapp_operator.canary.settings import CanarySettings, ReadBack
from microapp_operator.canary.state import CanaryState

__all__ = ["Answer", "Canary", "CanarySettings", "CanaryState", "Ledger", "ReadBack", "Why"]
