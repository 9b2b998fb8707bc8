"""The queue, the store of what the feed delivered, and the one level-based reconcile."""
