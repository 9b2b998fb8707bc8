"""Fixtures every suite here may use: the cluster it acts on, and kubectl against it."""

import pytest
from hypothesis import settings

from tests.support.cluster import cluster, kubectl

__all__ = ["cluster", "kubectl"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
"""How long an example takes says how busy the machine is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs no cluster goes first: on a cold machine the cluster is being built meanwhile. Modules stay whole."""
    late = {item.path for item in items if "cluster" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in late)
