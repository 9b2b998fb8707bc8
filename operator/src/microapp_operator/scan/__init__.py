"""The background scan: what already runs in governed namespaces, judged as admission would judge it now, and reported.

Sees reconcile, adapters and all below; must not import admission or handlers. Runs in the leading process only.
"""
