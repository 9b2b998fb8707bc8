"""The engine never answers with an accidental allow, whatever it is given."""

import gzip
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hack.policy.cases import base
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.bundles import SOUND, compiled, handmade, packed

from microapp_operator.adapters.rego import Limits, RegoEngine, packaged_bundle
from microapp_operator.errors import PolicyFailure
from microapp_operator.policy.groups import GROUPS

SHIPPED = packaged_bundle()
GZIP_HEADER = 10
"""Bytes (RFC 1952): time and system in them are anybody's."""


def test_the_shipped_bundle_is_sound() -> None:
    engine = RegoEngine(packaged_bundle())
    assert len(engine.digest) == 64
    assert len(engine.rules) > 30


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        ("pod := set()", "guards nothing"),
        ("pod contains {} if false", "guards nothing"),
        ("pod if false", "undefined"),
        (f"pod := {SOUND}", "undefined"),
        ('pod contains {"id": "MA-NON-001"}', "no rule of the catalogue"),
        ('pod contains "no object"', "no rule of the catalogue"),
        ('pod contains {"id": "MA-TST-001", "path": sprintf("%q", ["x"])}', "built-ins"),
    ],
)
def test_a_bundle_that_is_no_good_is_refused(tmp_path: Path, pod: str, why: str) -> None:
    with pytest.raises(PolicyFailure, match=why):
        RegoEngine(compiled(tmp_path, pod))


def test_a_missing_entry_point_is_refused(tmp_path: Path) -> None:
    bundle = compiled(tmp_path, f"pod contains {SOUND}", groups=tuple(g for g in GROUPS if g != "Service"))
    with pytest.raises(PolicyFailure, match="no entry point for Service"):
        RegoEngine(bundle)


@settings(max_examples=50)
@given(st.binary(max_size=64))
def test_noise_is_refused(noise: bytes) -> None:
    for bundle in (noise, packed(noise, noise)):
        with pytest.raises(PolicyFailure):
            RegoEngine(bundle)


def says_the_same(packed: bytes) -> bool:
    """A few bits of a gzip file mean nothing (RFC 1951, such as codes that no symbol of its block uses)."""
    try:
        return gzip.decompress(packed) == gzip.decompress(SHIPPED)
    except (OSError, EOFError, zlib.error):
        return False


@settings(max_examples=200)
@given(st.integers(GZIP_HEADER * 8, len(SHIPPED) * 8 - 1))
def test_a_bundle_with_one_bit_flipped_is_refused(bit: int) -> None:
    flipped = bytearray(SHIPPED)
    flipped[bit // 8] ^= 1 << bit % 8
    assume(not says_the_same(bytes(flipped)))
    with pytest.raises(PolicyFailure, match=r"no policy bundle|cut off"):
        RegoEngine(bytes(flipped))


@settings(max_examples=50)
@given(st.integers(0, len(SHIPPED) - 1))
def test_a_bundle_cut_short_is_refused(length: int) -> None:
    with pytest.raises(PolicyFailure, match=r"no policy bundle|cut off"):
        RegoEngine(SHIPPED[:length])


def test_a_bundle_that_unpacks_to_gigabytes_is_refused() -> None:
    pack = zlib.compressobj(wbits=31)
    bomb = b"".join(pack.compress(bytes(2**20)) for _ in range(100)) + pack.flush()
    with pytest.raises(PolicyFailure, match="larger than 64 MiB"):
        RegoEngine(bomb)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"microapps": {"catalogue": 5}}',
        b'{"microapps": {"catalogue": [{"id": "MA-TST-001"}]}}',
    ],
)
def test_a_bundle_without_its_rules_texts_is_refused(data: bytes) -> None:
    with pytest.raises(PolicyFailure, match="can't be loaded"):
        RegoEngine(packed(handmade(), data))


def test_a_policy_that_never_ends_is_stopped(tmp_path: Path) -> None:
    loops = "; ".join(f"some {letter} in xs" for letter in "abcdef")
    slow = f"pod contains {SOUND}\npod contains {{}} if {{ xs := input.context.numbers; {loops}; a == b; b == false }}"
    engine = RegoEngine(compiled(tmp_path, slow), Limits(seconds=0.2))
    with pytest.raises(PolicyFailure, match="no answer within"):
        engine.evaluate("Pod", {"context": {"numbers": list(range(200))}})
    assert engine.evaluate("Pod", {"context": {}})


def test_a_policy_that_eats_memory_is_stopped(tmp_path: Path) -> None:
    greedy = f"pod contains {SOUND}\npod contains {{}} if {{ input.context.greedy; "
    greedy += "count({[a, b] | some a in numbers.range(1, 2000); some b in numbers.range(1, 2000)}) < 0 }"
    engine = RegoEngine(compiled(tmp_path, greedy), Limits(seconds=30, memory=8 * 2**20))
    with pytest.raises(PolicyFailure):
        engine.evaluate("Pod", {"context": {"greedy": True}})
    assert engine.evaluate("Pod", {"context": {}})


def test_an_input_beyond_the_memory_is_refused() -> None:
    engine = RegoEngine(packaged_bundle(), Limits(memory=2 * 2**20))
    with pytest.raises(PolicyFailure):
        engine.evaluate("Pod", {"context": {"much": "x" * 4 * 2**20}})
    assert engine.evaluate("Pod", base("pod")) == ()


def test_a_broken_bundle_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    engine = RegoEngine(packaged_bundle())
    before = engine.digest
    with pytest.raises(PolicyFailure):
        engine.reload(compiled(tmp_path / "broken", "pod := set()"))
    assert engine.digest == before
    assert engine.evaluate("Exec", base("exec"))
    assert not engine.reload(packaged_bundle())


def test_reloading_drops_no_evaluation(tmp_path: Path) -> None:
    one, other = packaged_bundle(), compiled(tmp_path, f"pod contains {SOUND}")
    engine, stop = RegoEngine(one, Limits(instances=4)), threading.Event()
    document = {"request": {"kind": {"kind": "Pod"}, "object": {"spec": {"hostPID": True}}}}

    def ask() -> set[str]:
        seen = set()
        while not stop.is_set():
            digest, violations = engine.decide("Pod", document)
            assert violations
            seen.add(digest)
        return seen

    with ThreadPoolExecutor(4) as threads:
        askers = [threads.submit(ask) for _ in range(4)]
        for bundle in (other, one, other, one):
            assert engine.reload(bundle)
        stop.set()
    assert len(set().union(*(asker.result() for asker in askers))) == 2
