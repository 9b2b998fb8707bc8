"""I/O: implements the ports on the real API server. Only ``__main__`` imports adapters."""
