"""``python -m microapp_operator.wasm_runner``: what the container runs. Exit status 2: it can't be run as told."""

import gc
import os
import signal
import sys
from pathlib import Path

from microapp_operator.wasm_runner import GUEST_ROOT, MODULE_ROOT, VARIABLE
from microapp_operator.wasm_runner.sandbox import ModuleError, Sandbox, read_module
from microapp_operator.wasm_runner.serve import Server, report
from microapp_operator.wasm_runner.wire import read_config


def main(module_root: Path, guest_root: str) -> int:
    """Serve until SIGTERM the module below ``module_root``, with its storage below ``guest_root``."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        config = read_config(os.environ[VARIABLE])
    except (KeyError, ValueError, TypeError) as error:
        report(f"{VARIABLE} doesn't say what to run ({error!r}): this runs in a pod the operator made")
        return 2
    try:
        sandbox = Sandbox(read_module(module_root, config.module), config, guest_root)
    except ModuleError as error:
        report(f"module {config.module}: {error}")
        return 2
    # What is there now is shared with every process to come, as long as nobody writes to it.
    gc.freeze()
    with Server(sandbox, config) as server:
        report(f"serves {config.module} on port {config.port}")
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(MODULE_ROOT), GUEST_ROOT))
