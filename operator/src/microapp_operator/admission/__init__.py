"""The admission webhook: what the API server asks before it stores an object, and the certificates it is asked over.

Sees adapters and all below; must not import reconcile or handlers.
"""
