"""A WASI command on wasmtime: no socket, no file but those of its folders, a deadline and a memory cap.

Each run has a store of its own, so that no request sees another's memory.
"""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import wasmtime

from microapp_operator.wasm_runner.wire import ModuleConfig

MOST_OUTPUT: Final = 2**19
"""Bytes of an answer."""
_MOST_LOG: Final = 2**16
"""Bytes a run may write to its standard error."""
_TABLE: Final = 100_000
"""Elements of all tables, eight bytes each."""
_GRACE: Final = 1.0
"""Seconds an instance gets to stop. It doesn't while it sleeps in a call of WASI's."""
_MAGIC: Final = b"\0asm\x01\0\0\0"


class ModuleError(Exception):
    """The module can't be run here, or did what ends a run; the text says what."""


class LateError(ModuleError):
    """It wasn't done in time."""


class Sandbox:
    """A module, compiled once."""

    def __init__(self, wasm: bytes, config: ModuleConfig, root: str) -> None:
        """root: below it the folders are. ModuleError when ``wasm`` is no WASI command (preview 1)."""
        if not wasm.startswith(_MAGIC):
            raise ModuleError("it is no WebAssembly module of version 1 (a component isn't one, either)")
        settings = wasmtime.Config()
        settings.epoch_interruption = True
        # Nothing may run beside the thread that forks.
        settings.parallel_compilation = False
        settings.wasm_threads = False
        self._engine = wasmtime.Engine(settings)
        self._config, self._root = config, root
        linker = wasmtime.Linker(self._engine)
        linker.define_wasi()
        try:
            module = wasmtime.Module(self._engine, wasm)
            self._prepared = linker.instantiate_pre(module)
        except wasmtime.WasmtimeError as error:
            raise ModuleError(f"it can't be run: {error}") from error
        if not any(e.name == "_start" and isinstance(e.type, wasmtime.FuncType) for e in module.exports):
            raise ModuleError("it exports no _start: build it as a WASI command (preview 1), not as a library")

    def run(self, environment: Mapping[str, str], body: bytes, on_stuck: Callable[[], None]) -> bytes:
        """What it wrote to its standard output for ``body`` on its standard input.

        on_stuck: called from another thread when it doesn't stop at its deadline. LateError, ModuleError.
        """
        output = _Capture(self._engine.increment_epoch)
        store = wasmtime.Store(self._engine)
        store.set_limits(memory_size=self._config.memory, table_elements=_TABLE, instances=1, tables=8, memories=1)
        store.set_epoch_deadline(1)
        deadline = threading.Timer(self._config.seconds, self._engine.increment_epoch)
        stuck = threading.Timer(self._config.seconds + _GRACE, on_stuck)
        for timer in (deadline, stuck):
            timer.daemon = True
            timer.start()
        try:
            self._start(store, self._wasi(environment, body, output))
        except LateError:
            if not output.overflowed:
                raise
        finally:
            deadline.cancel()
            stuck.cancel()
            # If it has gone off, it answers and ends the process; nobody may answer beside it.
            stuck.join()
        if output.overflowed:
            raise ModuleError(f"it wrote more than {MOST_OUTPUT} bytes")
        return bytes(output.content)

    def _start(self, store: wasmtime.Store, wasi: wasmtime.WasiConfig) -> None:
        try:
            store.set_wasi(wasi)
            start = self._prepared.instantiate(store).exports(store)["_start"]
            cast(wasmtime.Func, start)(store)
        except wasmtime.ExitTrap as error:
            if error.code != 0:
                raise ModuleError(f"it ended with status {error.code}") from error
        except wasmtime.Trap as error:
            if error.trap_code is wasmtime.TrapCode.INTERRUPT:
                raise LateError(f"it wasn't done after {self._config.seconds:g} s") from error
            raise ModuleError(f"it trapped: {error.message}") from error
        except wasmtime.WasmtimeError as error:
            raise ModuleError(f"it can't be run: {error}") from error

    def _wasi(self, environment: Mapping[str, str], body: bytes, output: "_Capture") -> wasmtime.WasiConfig:
        """Exactly what the module gets; by default a WASI configuration grants nothing."""
        wasi = wasmtime.WasiConfig()
        wasi.argv = [self._config.module, *self._config.arguments]
        wasi.env = list(environment.items())
        for folder in self._config.folders:
            try:
                wasi.preopen_dir(self._root + folder, folder)
            except wasmtime.WasmtimeError as error:
                raise ModuleError(f"the storage at {folder} can't be opened") from error
        self._show_secrets(wasi)
        with open(os.memfd_create("body"), "wb") as file:
            file.write(body)
            file.flush()
            wasi.stdin_file = f"/proc/self/fd/{file.fileno()}"
        wasi.stdout_custom = output.add
        wasi.stderr_custom = _Log().add
        return wasi

    def _show_secrets(self, wasi: wasmtime.WasiConfig) -> None:
        """To be read and no more. Without the folder nothing was delivered yet, and the module finds none either."""
        folder = self._config.secrets
        if not folder or not os.path.isdir(folder):
            return
        try:
            wasi.preopen_dir(folder, folder, wasmtime.DirPerms.READ_ONLY, wasmtime.FilePerms.READ_ONLY)
        except wasmtime.WasmtimeError as error:
            raise ModuleError(f"the secrets at {folder} can't be opened") from error


class _Capture:
    """Keeps what is written, up to the limit; what writes more is stopped."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.content = bytearray()
        self.overflowed = False
        self._stop = stop

    def add(self, data: bytes) -> int:
        if len(self.content) + len(data) > MOST_OUTPUT:
            self.overflowed = True
            self._stop()
        else:
            self.content += data
        return len(data)


class _Log:
    """Hands on to the container's log, up to the limit; the rest is dropped."""

    def __init__(self) -> None:
        self._left = _MOST_LOG

    def add(self, data: bytes) -> int:
        sys.stderr.buffer.write(data[: self._left])
        sys.stderr.buffer.flush()
        self._left -= min(len(data), self._left)
        return len(data)


def read_module(root: Path, name: str) -> bytes:
    """The file ``name`` of the image mounted at ``root``; ModuleError when there is none."""
    path = root / name.lstrip("/")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModuleError(
            f"the image has no readable file {name} ({error.strerror}). Fix: put the module there, readable for "
            "everybody, or name its path in the image as the first word of spec.runtime.command."
        ) from error
