"""``make bench-logs``: what it costs to deliver what apps write."""
