"""The Kubernetes side, on the client library's asyncio flavour: writes, watches, Events."""
