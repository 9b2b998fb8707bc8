"""Pure builders: from a MicroApp, its tier and what was resolved, to manifests. No I/O, clock or randomness."""
