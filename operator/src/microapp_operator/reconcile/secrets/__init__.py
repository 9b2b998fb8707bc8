"""The lane of its own in which the secret store is brought to what apps need, so that no other app waits on it.

The reconciler leaves wishes with the desk and reads what was last seen; workers of the lane talk to the store and ask
for another pass when something changed.
"""

from microapp_operator.reconcile.secrets.desk import Desk, NoStore, Secrets
from microapp_operator.reconcile.secrets.lane import SecretLane

__all__ = ["Desk", "NoStore", "SecretLane", "Secrets"]
