"""What the operator tells the runner, in an environment variable."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ModuleConfig:
    """How to run the module.

    module: its path in the app's image. arguments: after its name. environment: name and value of each variable.
    folders: paths at which it finds its storage. secrets: a folder of the container that it may read, where there is
    one; empty for none. It sees no other file. port: on which HTTP is served.
    memory: most bytes one instance may have. seconds: after which an answer is late.
    """

    module: str
    port: int
    memory: int
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()
    secrets: str = ""
    seconds: float = 10.0


def write_config(config: ModuleConfig) -> str:
    """As the environment variable has it."""
    return json.dumps(asdict(config), separators=(",", ":"))


def read_config(text: str) -> ModuleConfig:
    """Back; ValueError or TypeError for anything else."""
    raw = json.loads(text)
    lists = {
        "arguments": tuple(raw["arguments"]),
        "environment": tuple((name, value) for name, value in raw["environment"]),
        "folders": tuple(raw["folders"]),
    }
    return ModuleConfig(**{**raw, **lists})
