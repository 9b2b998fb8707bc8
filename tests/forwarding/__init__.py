"""The operator told of a log gateway, on a real API server."""
