"""The policy engine: a bundle OPA compiled to WebAssembly, run in process. Undefined, unknown or broken is
never an allow. Must not import reconcile, admission or any API client.
"""

import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

import orjson
from pydantic import ValidationError

from microapp_operator.adapters.wasm import Module, WasmError
from microapp_operator.errors import PolicyFailure
from microapp_operator.policy.catalogue import Rule
from microapp_operator.policy.groups import GROUPS
from microapp_operator.policy.verdict import Violation

_ENTRY: Final = "microapps/admission/"
_BUNDLE_MAX: Final = 64 * 2**20
"""Bytes of a bundle once unpacked."""
_GZIP: Final = 31
"""zlib's number for gzip with a window of any size; it verifies the checksum at the end."""
_CANARY: Final = {
    "request": {"operation": "CREATE", "kind": {"kind": "Pod"}, "object": {"spec": {"hostNetwork": True}}}
}
"""A pod on the node's network, about which nothing else is known: rules that let it pass guard nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation may take.

    seconds: wall-clock time. memory: bytes of one instance. instances: evaluations at once.
    """

    seconds: float = 1.0
    memory: int = 64 * 2**20
    instances: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class _Loaded:
    digest: str
    rules: Mapping[str, Rule]
    policy: Module


class RegoEngine:
    """``ports.PolicyEngine`` on one bundle at a time; a new one takes over between two evaluations."""

    def __init__(self, bundle: bytes, limits: Limits | None = None) -> None:
        """PolicyFailure when ``bundle`` is none, lacks an entry point, or lets the canary pass."""
        self._limits = limits or Limits()
        self._loaded = _load(bundle, self._limits)

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle in force, 64 hexadecimal digits."""
        return self._loaded.digest

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules in force, by id."""
        return self._loaded.rules

    def reload(self, bundle: bytes) -> bool:
        """Take ``bundle`` into force; False when it already is. PolicyFailure: refused, the old one stays."""
        if hashlib.sha256(bundle).hexdigest() == self.digest:
            return False
        old, self._loaded = self._loaded, _load(bundle, self._limits)
        old.policy.close()  # evaluations under way are finished first
        return True

    def evaluate(self, group: str, document: Mapping[str, Any]) -> tuple[Violation, ...]:
        """What the rules of ``group`` object to in ``document`` (request and context).

        PolicyFailure when there is no answer: beyond the deadline or the memory, or the rules are broken.
        """
        return self.decide(group, document)[1]

    def decide(self, group: str, document: Mapping[str, Any]) -> tuple[str, tuple[Violation, ...]]:
        """The same, with the digest of the very bundle that answered."""
        loaded = self._loaded
        return loaded.digest, _evaluate(loaded, group, document)

    def close(self) -> None:
        """Free the instances."""
        self._loaded.policy.close()


def packaged_bundle() -> bytes:
    """The bundle that ships with this version."""
    return (files("microapp_operator.policy") / "bundle.tar.gz").read_bytes()


def _load(bundle: bytes, limits: Limits) -> _Loaded:
    wasm, data = _unpack(bundle)
    try:
        rules = [Rule.model_validate(entry) for entry in orjson.loads(data)["microapps"]["catalogue"]]
        policy = Module(wasm, seconds=limits.seconds, memory=limits.memory, instances=limits.instances)
    except (WasmError, ValidationError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise PolicyFailure(f"the policy bundle can't be loaded: {error}.") from error
    loaded = _Loaded(hashlib.sha256(bundle).hexdigest(), {rule.id: rule for rule in rules}, policy)
    try:
        _prove(loaded)
    except PolicyFailure:
        policy.close()
        raise
    return loaded


def _unpack(bundle: bytes) -> tuple[bytes, bytes]:
    """policy.wasm and data.json of an OPA bundle whose checksum (RFC 1952) holds."""
    try:
        inflate = zlib.decompressobj(wbits=_GZIP)
        packed = inflate.decompress(bundle, _BUNDLE_MAX)
        if not inflate.eof:
            raise PolicyFailure(f"the policy bundle is cut off, or larger than {_BUNDLE_MAX >> 20} MiB.")
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as archive:
            members = {m.name.lstrip("/"): m for m in archive.getmembers() if m.isfile()}
            found = [archive.extractfile(members[name]) for name in ("policy.wasm", "data.json")]
            wasm, data = (file.read() if file is not None else b"" for file in found)
    except (zlib.error, tarfile.TarError, KeyError, OSError, EOFError, ValueError) as error:
        raise PolicyFailure(f"this is no policy bundle with policy.wasm and data.json: {error}.") from error
    return wasm, data


def _prove(loaded: _Loaded) -> None:
    """Every entry point is there, none needs what the host doesn't give, and the canary is refused."""
    missing = [group for group in GROUPS if _ENTRY + group.lower() not in loaded.policy.entrypoints]
    if missing:
        raise PolicyFailure(f"the policy bundle has no entry point for {', '.join(missing)}.")
    if loaded.policy.builtins:
        raise PolicyFailure(
            f"the policy bundle needs built-ins that are not there: {', '.join(loaded.policy.builtins)}."
        )
    for group in GROUPS:
        violations = _evaluate(loaded, group, _CANARY)
        if group == "Pod" and not violations:
            raise PolicyFailure("the policy bundle lets a pod on the node's network pass, so it guards nothing.")


def _evaluate(loaded: _Loaded, group: str, document: Mapping[str, Any]) -> tuple[Violation, ...]:
    try:
        answer = loaded.policy.evaluate(loaded.policy.entrypoints[_ENTRY + group.lower()], orjson.dumps(document))
    except WasmError as error:
        raise PolicyFailure(f"the policies gave no answer: {error}.") from error
    except TypeError as error:
        raise PolicyFailure(f"the request can't be given to the policies: {error}.") from error
    match answer:
        case [{"result": list() as found}]:
            return tuple(_violation(loaded.rules, entry) for entry in found)
    raise PolicyFailure(f"the policies for {group} are undefined.")


def _violation(rules: Mapping[str, Rule], entry: Any) -> Violation:
    try:
        return Violation(rules[entry["id"]], str(entry.get("path", "")), entry)
    except (KeyError, TypeError, AttributeError) as error:
        raise PolicyFailure(f"a policy answered with {entry!r}, which names no rule of the catalogue.") from error
