"""``make bench-admission``: what admission costs the API server, beside a webhook that does nothing."""
