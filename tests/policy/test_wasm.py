"""WebAssembly that isn't what OPA compiles: refused or an error, never a crash and never an endless wait."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from hack.policy.cases import base
from tests.support.bundles import ENDLESS, compiled, handmade, packed, unpacked

from microapp_operator.adapters import wasm
from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.adapters.wasm import Module, WasmError
from microapp_operator.errors import PolicyFailure

FOREVER = "(loop $l (br $l)) (unreachable)"
OUTSIDE = (-1, -(2**31), 2 * 65_536, 2**31 - 1)
"""Addresses that are none in a memory of two pages."""


def module(binary: bytes, *, seconds: float = 5.0, instances: int = 1) -> Module:
    return Module(binary, seconds=seconds, memory=2 * 65_536, instances=instances)


def test_what_the_others_are_variants_of_is_sound() -> None:
    sound = module(handmade())
    assert sound.entrypoints == {"a": 0}
    assert sound.builtins == ()
    assert sound.evaluate(0, b"{}") == []


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_answer_outside_of_the_memory_is_none(address: int) -> None:
    with pytest.raises(WasmError, match="outside of its memory"):
        module(handmade(answer=f"(i32.const {address})")).evaluate(0, b"{}")


def test_an_answer_without_an_end_is_none() -> None:
    fill = "(memory.fill (i32.const 2048) (i32.const 49) (i32.const 129024)) (i32.const 2048)"
    with pytest.raises(WasmError, match="outside of its memory"):
        module(handmade(answer=fill)).evaluate(0, b"{}")


@pytest.mark.parametrize("address", [0, 80])
def test_an_answer_that_is_no_json_is_none(address: int) -> None:
    with pytest.raises(WasmError):
        module(handmade(answer=f"(i32.const {address})")).evaluate(0, b"{}")


@pytest.mark.parametrize(
    "variant",
    [
        *({"heap": f"(i32.const {address})"} for address in (0, *OUTSIDE[:2], OUTSIDE[3])),
        *({"entrypoints": f"(i32.const {address})"} for address in (*OUTSIDE, 64, 80, 96)),
        *(
            {"entrypoints": "(i32.const 112)", "more": f'(data (i32.const 112) "{{\\"a\\": {number}}}\\00")'}
            for number in (-1, 2**31)
        ),
        {"builtins": "80"},
        {"entrypoints": "(unreachable)"},
        {"heap": "(unreachable)"},
        {"more": "(func $start (unreachable)) (start $start)"},
    ],
)
def test_a_module_that_can_not_come_up_is_refused(variant: dict[str, str]) -> None:
    with pytest.raises(WasmError):
        module(handmade(**variant))


@pytest.mark.parametrize(
    "variant",
    [{"heap": FOREVER}, {"entrypoints": FOREVER}, {"more": f"(func $start {FOREVER}) (start $start)"}],
)
def test_a_module_that_never_comes_up_is_stopped(variant: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm, "_SETUP", 2)
    with pytest.raises(WasmError):
        module(handmade(**variant))


def test_an_evaluation_that_failed_leaves_no_trace() -> None:
    mark = "(i32.load (i32.const 4096)) (i32.store (i32.const 4096) (i32.const 1))"
    evaluated = module(handmade(answer=f"{mark} (if (then (unreachable))) (i32.const 64)"))
    assert evaluated.evaluate(0, b"{}") == []
    with pytest.raises(WasmError):
        evaluated.evaluate(0, b"{}")
    assert evaluated.evaluate(0, b"{}") == []


@pytest.mark.parametrize("answer", [b"5", b"{}", b'"x"', b"[5]", b"[{}]", b'[{"result": {}}]', b'[{"result": 1}, {}]'])
def test_an_answer_out_of_shape_is_no_allow(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = RegoEngine(packaged_bundle())
    monkeypatch.setattr(Module, "evaluate", lambda *_: orjson.loads(answer))
    with pytest.raises(PolicyFailure, match="undefined"):
        engine.evaluate("Pod", base("pod"))


def test_a_closed_modules_evaluations_still_have_their_deadline(tmp_path: Path) -> None:
    """One evaluates when a new bundle takes over, and one begins after it, having waited for the instance."""
    old = Module(unpacked(compiled(tmp_path, ENDLESS)), seconds=0.4, memory=64 * 2**20, instances=1)
    entry = old.entrypoints["microapps/admission/pod"]
    document = orjson.dumps({"request": {"object": {"spec": {"numbers": list(range(300))}}}})
    with ThreadPoolExecutor(1) as thread:
        both = [thread.submit(old.evaluate, entry, document) for _ in range(2)]
        old.close()
        for each in both:
            with pytest.raises(WasmError, match="no answer within"):
                each.result(timeout=30)


def test_a_bundle_of_hostile_webassembly_is_refused_with_a_reason() -> None:
    with pytest.raises(PolicyFailure, match=r"can't be loaded.*outside of its memory"):
        RegoEngine(packed(handmade(entrypoints="(i32.const -1)"), b'{"microapps": {"catalogue": []}}'))
