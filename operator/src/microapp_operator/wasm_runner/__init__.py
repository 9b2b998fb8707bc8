"""What runs a MicroApp's WebAssembly module in a container, where no RuntimeClass does: one HTTP request, one instance.

Standard library and wasmtime only: it starts in each such pod. Imports nothing of ours.
"""

from typing import Final

VARIABLE: Final = "WASM_RUNNER"
"""Environment variable with the ``ModuleConfig``. What the app declares never becomes a variable of the runner."""
MODULE_ROOT: Final = "/module"
"""Where the app's image is mounted, read-only."""
GUEST_ROOT: Final = "/guest"
"""Below it the app's storage is mounted, so that no mount can hide a file of the runner's."""
DEFAULT_MODULE: Final = "/app.wasm"
"""The module's path in the image, unless the app names another."""

_MIB: Final = 2**20
CHILDREN: Final = 8
"""Connections served at once, each by a process of its own; more wait in the kernel."""
INSTANCES: Final = 2
"""Instances of the module that run at once. They have no network to wait for, so more would only share the CPU."""
RESERVE: Final = 80 * _MIB
"""Bytes of the container's memory kept back: 40 MiB for the runner, 3 MiB a connection, 16 MiB for the launcher."""
LEAST_MEMORY: Final = RESERVE + INSTANCES * 16 * _MIB
"""Bytes; with less, a module would get too little to start."""
