"""``ports.ImageRegistries``: OCI registries over HTTP (github.com/opencontainers/distribution-spec), to read only.

What a registry says is believed once it has the digest that was asked for. What it is sent are paths of the image, and
credentials the admin gave for it.
"""

from microapp_operator.adapters.registry.registries import HttpRegistries

__all__ = ["HttpRegistries"]
