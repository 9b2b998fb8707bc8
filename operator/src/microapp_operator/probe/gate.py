"""Holds a pod's first container back until its network policies are seen to be in force.

The denied target is the API server: it runs, or there would be no pod, and no app may reach it. So if it can be
connected to, nothing is enforced yet (kubernetes/kubernetes #53418: a pod may start before its policies do).
"""

import time

from microapp_operator.probe.connect import answers

_TRY = 1.0
_PAUSE = 0.05


def wait_until_denied(address: str, port: int, deadline: float) -> bool:
    """True as soon as the API server can't be reached; False when it still can after ``deadline`` seconds."""
    begin = time.monotonic()
    while answers(address, port, "TCP", _TRY):
        if time.monotonic() - begin > deadline:
            return False
        time.sleep(_PAUSE)
    return True
