"""Policy bundles to load, sound and spoilt: compiled from a few lines of Rego, or written as WebAssembly by hand."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import wasmtime
from hack.policy.rules import opa

from microapp_operator.policy.groups import GROUPS

RULE = {
    "id": "MA-TST-001",
    "title": "t",
    "what": "w.",
    "why": "y.",
    "fix": "f.",
    "docs": "d",
    "severity": "high",
    "tiers": ["low", "medium", "high"],
}
SOUND = '{"id": "MA-TST-001", "path": "spec"}'
CANARY = f"pod contains {SOUND} if input.request.object.spec.hostNetwork\n"
"""Objects to nothing but what every bundle must object to."""
ENDLESS = CANARY + (
    "pod contains {} if { xs := input.request.object.spec.numbers; "
    + "; ".join(f"some {letter} in xs" for letter in "abcdef")
    + "; a == b; b == false }"
)
"""Doesn't end for a pod whose spec has ``numbers`` by the hundred."""
GREEDY = CANARY + (
    "pod contains {} if { input.request.object.spec.greedy; "
    "count({[a, b] | some a in numbers.range(1, 2000); some b in numbers.range(1, 2000)}) < 0 }"
)
"""Wants more memory than there is for a pod whose spec is ``greedy``."""
_WAT = """
(module
  (import "env" "memory" (memory 2))
  (global (export "opa_wasm_abi_version") i32 (i32.const 1))
  (func (export "opa_heap_ptr_get") (result i32) {heap})
  (func (export "entrypoints") (result i32) {entrypoints})
  (func (export "builtins") (result i32) (i32.const {builtins}))
  (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
  (func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {answer})
  (data (i32.const 16) "{{\\"a\\": 0}}\\00")
  (data (i32.const 48) "{{}}\\00")
  (data (i32.const 64) "[]\\00")
  (data (i32.const 80) "no JSON\\00")
  (data (i32.const 96) "{{\\"a\\": \\"b\\"}}\\00")
  {more})
"""


def compiled(folder: Path, pod: str, *, groups: tuple[str, ...] = GROUPS) -> bytes:
    """A bundle whose entry point for pods is ``pod``, and whose others object to nothing."""
    source = folder / "source"
    source.mkdir(parents=True)
    rest = "\n".join(f"{g.lower()} := set()" for g in groups if g != "Pod")
    (source / "main.rego").write_text(f"package microapps.admission\n{pod}\n{rest}\n")
    (source / "data.json").write_text(json.dumps({"microapps": {"catalogue": [RULE]}}))
    target = folder / "bundle.tar.gz"
    entrypoints = [f"--entrypoint=microapps/admission/{g.lower()}" for g in groups]
    opa("build", "--bundle", "--target=wasm", *entrypoints, f"--output={target}", ".", cwd=source)
    return target.read_bytes()


def packed(wasm: bytes, data: bytes) -> bytes:
    """An OPA bundle of these two files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in (("/policy.wasm", wasm), ("/data.json", data)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(archive.getvalue())


def unpacked(bundle: bytes) -> bytes:
    """Its WebAssembly."""
    with tarfile.open(fileobj=io.BytesIO(bundle), mode="r:gz") as tar:
        file = tar.extractfile("/policy.wasm")
        return file.read() if file else b""


def handmade(
    *, heap: str = "(i32.const 1024)", entrypoints: str = "(i32.const 16)", answer: str = "(i32.const 64)", **more: str
) -> bytes:
    """WebAssembly that speaks OPA's ABI and answers ``[]``; every function's body may be another one."""
    wat = _WAT.format(
        heap=heap,
        entrypoints=entrypoints,
        answer=answer,
        builtins=more.get("builtins", "48"),
        more=more.get("more", ""),
    )
    return bytes(wasmtime.wat2wasm(wat))
