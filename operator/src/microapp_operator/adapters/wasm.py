"""OPA's WebAssembly ABI 1.2 on wasmtime: one module, a bounded pool of instances, a deadline and a memory cap.

One call into WebAssembly an evaluation (``opa_eval``), no state from one to the next: the input is written where
the heap begins, and everything after it is scratch. An instance that trapped is thrown away. Knows nothing of
Kubernetes or of our rules. Source: openpolicyagent.org, "WebAssembly", ABI.
"""

import ctypes
import math
import queue
import struct
import threading
from typing import Final, cast

import orjson
import wasmtime

_PAGE: Final = 65_536
_TICK: Final = 0.05
"""Seconds of one epoch: the grain of the deadline."""
_SETUP: Final = 200
"""Ticks of the engine's clock an instance may take to come up."""
_ABI: Final = 1
_LENGTH: Final = ctypes.PyDLL(None).strnlen
_LENGTH.argtypes, _LENGTH.restype = (ctypes.c_void_p, ctypes.c_size_t), ctypes.c_size_t
_WHAT: Final = struct.Struct("<II")
"""What is put before the document: number of the entry point, length of the document."""
_CALL: Final = """
(module
  (import "env" "memory" (memory 0))
  (import "policy" "opa_eval" (func $eval (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (func (export "evaluate") (result i32)
    (call $eval
      (i32.const 0) (i32.load (i32.const {what})) (i32.const 0)
      (i32.const {document}) (i32.load offset=4 (i32.const {what}))
      (i32.add (i32.const {document}) (i32.load offset=4 (i32.const {what}))) (i32.const 0))))
"""
"""No parameters instead of seven: each costs the host more than it costs to run a small rule."""


class WasmError(Exception):
    """The module is none of OPA's, or gave no answer; the text says why."""


class Module:
    """A compiled policy; safe for any number of threads.

    seconds: wall-clock time of one evaluation. memory: bytes one instance may have. instances: evaluations
    at once; more wait for their turn, at most ``seconds``.
    """

    def __init__(self, wasm: bytes, *, seconds: float, memory: int, instances: int) -> None:
        """WasmError when ``wasm`` can't be compiled or isn't of OPA's ABI."""
        config = wasmtime.Config()
        config.epoch_interruption = True
        self._engine = wasmtime.Engine(config)
        self._seconds, self._pages = seconds, memory // _PAGE
        self._ticks = math.ceil(seconds / _TICK) + 1
        self._stop = threading.Event()
        threading.Thread(target=self._tick, name="policy-deadline", daemon=True).start()
        try:
            self._module = wasmtime.Module(self._engine, wasm)
            first = self._instance()
            self.entrypoints = first.table("entrypoints")
            self.builtins = tuple(first.table("builtins"))
        except (WasmError, wasmtime.WasmtimeError, wasmtime.Trap, TypeError, ValueError) as error:
            self._stop.set()
            raise WasmError(f"not WebAssembly that can be run: {error}") from error
        self._pool: queue.LifoQueue[_Instance | None] = queue.LifoQueue()
        for spare in (first, *[None] * (instances - 1)):
            self._pool.put(spare)

    def evaluate(self, entrypoint: int, document: bytes) -> list[dict[str, object]]:
        """The result set of ``entrypoint`` for the JSON ``document``; WasmError without one."""
        try:
            instance = self._pool.get(timeout=self._seconds)
        except queue.Empty:
            raise WasmError(f"no instance came free within {self._seconds:g} s") from None
        sound = None
        try:
            instance = instance or self._instance()
            answer = instance.evaluate(entrypoint, document, self._ticks)
            result: list[dict[str, object]] = orjson.loads(answer)
            sound = instance
        except wasmtime.Trap as error:
            late = error.trap_code is wasmtime.TrapCode.INTERRUPT
            raise WasmError(f"no answer within {self._seconds:g} s" if late else str(error)) from error
        except (wasmtime.WasmtimeError, orjson.JSONDecodeError) as error:
            raise WasmError(str(error)) from error
        finally:
            self._pool.put(sound)
        return result

    def close(self) -> None:
        """Stop the clock, but not before those who still wait for an instance have reached their deadline."""
        clock = threading.Timer(3 * self._seconds + 1, self._stop.set)
        clock.daemon = True
        clock.start()

    def _instance(self) -> "_Instance":
        return _Instance(self._engine, self._module, self._pages)

    def _tick(self) -> None:
        while not self._stop.wait(_TICK):
            self._engine.increment_epoch()


class _Instance:
    """One instance of the module; for one thread at a time."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module, pages: int) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(_SETUP)
        self._memory = wasmtime.Memory(self._store, wasmtime.MemoryType(wasmtime.Limits(_least(module), pages)))
        linker = wasmtime.Linker(engine)
        linker.define(self._store, "env", "memory", self._memory)
        for wanted in module.imports:
            if isinstance(wanted.type, wasmtime.FuncType):
                refuse = wasmtime.Func(self._store, wanted.type, self._abort if wanted.name == "opa_abort" else _refuse)
                linker.define(self._store, "env", wanted.name or "", refuse)
        instance = linker.instantiate(self._store, module)
        exports = instance.exports(self._store)
        version = exports.get("opa_wasm_abi_version")
        if not isinstance(version, wasmtime.Global) or version.value(self._store) != _ABI:
            raise WasmError("the module doesn't speak OPA's ABI 1")
        self._exports = {name: func for name, func in exports.items() if isinstance(func, wasmtime.Func)}
        self._heap = self._call("opa_heap_ptr_get")
        if not 0 < self._heap <= self._memory.data_len(self._store):
            raise WasmError("its heap begins outside of its memory")
        linker.define_instance(self._store, "policy", instance)
        call = _CALL.format(what=self._heap, document=self._heap + _WHAT.size)
        caller = linker.instantiate(self._store, wasmtime.Module(engine, call)).exports(self._store)
        self._eval = cast(wasmtime.Func, caller["evaluate"])

    def table(self, name: str) -> dict[str, int]:
        """What ``entrypoints`` or ``builtins`` tell: ids by name."""
        address = self._call("opa_json_dump", self._call(name))
        found = orjson.loads(self._text(address))
        if not isinstance(found, dict) or not all(isinstance(n, int) and 0 <= n < 2**31 for n in found.values()):
            raise WasmError(f"its {name} are no ids by name")
        return found

    def evaluate(self, entrypoint: int, document: bytes, ticks: int) -> bytes:
        """The JSON result set, within ``ticks`` of the engine's clock."""
        question = _WHAT.pack(entrypoint, len(document)) + document
        missing = self._heap + len(question) - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, math.ceil(missing / _PAGE))
        ctypes.memmove(self._base() + self._heap, question, len(question))
        self._store.set_epoch_deadline(ticks)
        return self._text(self._eval(self._store))

    def _base(self) -> int:
        """Where the memory begins; it may move when it grows."""
        return ctypes.addressof(self._memory.data_ptr(self._store).contents)

    def _call(self, name: str, *arguments: int) -> int:
        if name not in self._exports:
            raise WasmError(f"the module has no {name}")
        return int(self._exports[name](self._store, *arguments))

    def _text(self, address: int) -> bytes:
        """The NUL-terminated bytes at ``address``; WasmError when they aren't all inside the memory."""
        room = self._memory.data_len(self._store) - address
        base = self._base()
        length = _LENGTH(base + address, room) if address >= 0 and room > 0 else room
        if length >= room:
            raise WasmError("it answered with an address outside of its memory")
        return ctypes.string_at(base + address, length)

    def _abort(self, address: int) -> None:
        raise WasmError(f"the policy gave up: {self._text(address).decode(errors='replace')}")


def _least(module: wasmtime.Module) -> int:
    """Pages the module asks for at the least."""
    for wanted in module.imports:
        if isinstance(wanted.type, wasmtime.MemoryType):
            return int(wanted.type.limits.min)
    raise WasmError("the module imports no memory, so it is no policy of OPA's")


def _refuse(*_: int) -> int:
    raise WasmError("the policy calls a built-in that is not there")
