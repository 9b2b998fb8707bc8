"""Commands: the command line itself, and what does its work once and ends. Must not import reconcile or kopf."""
