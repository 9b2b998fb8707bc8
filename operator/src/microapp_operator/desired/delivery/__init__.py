"""How an app's secrets reach its pods: one module per mode, all behind ``deliver`` and ``build_delivery``.

The mode is the tier's. Whatever the mode, the app finds a file per secret below ``/secrets``.
"""

from microapp_operator.desired.delivery.modes import build_delivery, deliver

__all__ = ["build_delivery", "deliver"]
