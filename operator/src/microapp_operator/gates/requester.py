"""Who asked for the content of a MicroApp: nobody of them may approve it.

The people come from the stamp admission leaves. Where a machine wrote it (GitOps), they come from what the pipeline
attests: a JSON Web Token whose audience is the fingerprint, signed with a key the settings trust. Without one nobody
can be ruled out, so nobody can approve.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from microapp_operator.constants import ANNOTATION_ATTESTATION
from microapp_operator.gates.fingerprint import compute_fingerprint
from microapp_operator.model import MicroApp
from microapp_operator.policy.identity import is_machine, read_editors, same_person
from microapp_operator.policy.settings import Attestor, PolicySettings

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_PERMANENT: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["iss", "aud"]}
"""An attestation says who asked, once and for all: it outlives the minutes for which it could open a door."""


@dataclass(frozen=True, slots=True)
class Requesters:
    """identities: of all who asked, comparable (``same_person``). unknown: why they can't be told, else empty."""

    identities: frozenset[str]
    unknown: str = ""


def attestation_audience(fingerprint: str) -> str:
    """What ``aud`` of an attestation must be."""
    return f"microapps.dev/fingerprint/{fingerprint}"


def resolve_requesters(app: MicroApp, settings: PolicySettings) -> Requesters:
    """All who edited ``app`` since it was last approved, or stand behind a machine that did; and its contact."""
    editors = read_editors(app.metadata.annotations)
    contact = f"person:{app.spec.owner.contact}"
    machines = [name for name in editors if is_machine(name, settings)]
    names, unknown = [*editors, contact], ""
    if not editors:
        unknown = "nobody is recorded as its editor; apply it again with admission in force"
    elif machines:
        attested, faults = _attested(app, settings)
        names += attested
        if not attested or faults:
            unknown = _unattested(machines, faults)
    return Requesters(same_person(names, settings), unknown)


def _unattested(machines: list[str], faults: list[str]) -> str:
    machine = machines[0].removeprefix("user:")
    why = "; ".join(faults) or f"annotation {ANNOTATION_ATTESTATION} is missing"
    return (
        f"it was written by {machine}, which is no person, and who asked for that isn't attested ({why}). Have "
        f"the pipeline add annotation {ANNOTATION_ATTESTATION}: a token of a trusted issuer, its audience "
        f"microapps.dev/fingerprint/ and the fingerprint"
    )


def _attested(app: MicroApp, settings: PolicySettings) -> tuple[list[str], list[str]]:
    """Identities that valid attestations name, and what is wrong with the invalid ones."""
    audience = attestation_audience(compute_fingerprint(app))
    names: list[str] = []
    faults: list[str] = []
    for token in app.metadata.annotations.get(ANNOTATION_ATTESTATION, "").split():
        try:
            names.append(_person(token, audience, settings.attestors))
        except (jwt.InvalidTokenError, _Unusable) as error:
            faults.append(str(error))
    return names, faults


class _Unusable(Exception):
    """An attestation by nobody who is trusted, or about nobody."""


def _person(token: str, audience: str, attestors: tuple[Attestor, ...]) -> str:
    issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    attestor = next((a for a in attestors if a.issuer == issuer), None)
    if attestor is None:
        raise _Unusable(f"issuer {str(issuer)[:100]!r} is not trusted")
    claims = _verified(token, audience, attestor)
    person = claims.get(attestor.claim)
    if not isinstance(person, str) or not person.strip():
        raise _Unusable(f"the token has no claim {attestor.claim}")
    return f"person:{attestor.prefix}{person}".replace("\n", " ")


def _verified(token: str, audience: str, attestor: Attestor) -> dict[str, Any]:
    key = next(_keys(token, attestor), None)
    if key is None:
        raise _Unusable(f"no key of issuer {attestor.issuer} has the token's kid")
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=list(_ALGORITHMS), audience=audience, issuer=attestor.issuer, options=_PERMANENT
    )
    return claims


def _keys(token: str, attestor: Attestor) -> Iterator[jwt.PyJWK]:
    wanted = jwt.get_unverified_header(token).get("kid")
    yield from (key for key in attestor.key_set().keys if key.key_id == wanted)
