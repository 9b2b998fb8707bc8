"""Policy as data and pure functions: the rules' texts, what a violation amounts to, what a rule is asked.

Rego decides what violates; here is decided what follows from it, the same for webhook, scan, reconcile and
command line. Must not import adapters, admission or any client library.
"""
