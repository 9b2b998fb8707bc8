"""Settings under which the samples break no rule, so that the scan finds nothing and status comes to rest."""

from pathlib import Path


def settings_flag(folder: Path, *registries: str) -> str:
    """The operator's flag for such settings, which are written into ``folder``. registries: more of them."""
    path = folder / "settings.yaml"
    path.write_text(f"registries: [{', '.join(('registry.example.com/', *registries))}]\n")
    return f"--settings={path}"
