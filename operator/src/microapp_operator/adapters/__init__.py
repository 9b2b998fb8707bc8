"""I/O: implements the ports on the real API server. ``reconcile`` and ``decide`` never import it."""
