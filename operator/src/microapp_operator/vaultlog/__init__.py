"""Vault's audit log, line by line, as events that say who used which secret, and why they may. Pure.

Must not import anything that does I/O.
"""

from microapp_operator.vaultlog.transform import Justify, Transformer

__all__ = ["Justify", "Transformer"]
