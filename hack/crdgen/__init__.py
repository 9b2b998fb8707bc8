"""Writes crds/ from the pydantic models: flat, structural, bounded (KEP-1693, KEP-2876)."""
