"""Fixtures every suite here may use: the cluster it acts on, and kubectl against it."""

from tests.support.cluster import cluster, kubectl

__all__ = ["cluster", "kubectl"]
