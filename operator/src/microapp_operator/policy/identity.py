"""Who somebody is, by everything the API server can see of them; and whether two are the same person. Pure.

An identity is a text with a prefix: ``user:`` (user name), ``uid:`` (account's UID) or ``person:`` (the person
behind the account, as the cluster's authentication maps it). Admission stamps them; nobody claims them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from microapp_operator.constants import (
    ANNOTATION_EDITORS,
    ANNOTATION_SKIP_CLEANUP,
    ANNOTATION_SKIP_CLEANUP_BY,
    EXTRA_PERSON,
)
from microapp_operator.model.microapp import drop_harmless
from microapp_operator.policy.settings import PolicySettings

SYSTEM: Final = "user:system:"
"""Service accounts, nodes and components: never a person (Kubernetes reserves the prefix)."""


def identities(user: Mapping[str, Any]) -> tuple[str, ...]:
    """Everything ``user`` (authentication.k8s.io/v1 UserInfo) is known by, without line breaks."""
    names = [f"user:{user.get('username') or ''}"]
    names += [f"uid:{user['uid']}"] if user.get("uid") else []
    names += [f"person:{name}" for name in (user.get("extra") or {}).get(EXTRA_PERSON) or ()]
    return tuple(name.replace("\n", " ") for name in names)


def read_editors(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """The identities in the editors' stamp; none when there is no stamp."""
    return tuple(line for line in annotations.get(ANNOTATION_EDITORS, "").split("\n") if line)


def stamp_editors(request: Mapping[str, Any]) -> tuple[str, ...]:
    """The editors' stamp that a MicroApp must carry after ``request`` (an admission request).

    Whoever changes what of the spec carries risk joins those who did since people last approved it; after an
    approval the list starts anew. Who changes nothing of that doesn't change the stamp.
    """
    me, old, new = identities(request["userInfo"]), request.get("oldObject"), request.get("object") or {}
    if not old:
        return me
    before = read_editors(_mapping(_mapping(old, "metadata"), "annotations"))
    if drop_harmless(_mapping(old, "spec")) == drop_harmless(_mapping(new, "spec")):
        return before
    if _reviewed(old):
        return me
    return (*before, *(name for name in me if name not in before))


def resolve_skip(request: Mapping[str, Any]) -> tuple[str, str]:
    """(reason that ``request`` newly gives for leaving an app's secrets behind, the stamp of who gave the present one).

    The stamp goes with the reason: who takes that away, or copies a stamp without one, leaves none.
    """
    before, after = _annotations(request.get("oldObject")), _annotations(request.get("object"))
    why = after.get(ANNOTATION_SKIP_CLEANUP) or ""
    if why == (before.get(ANNOTATION_SKIP_CLEANUP) or ""):
        return "", (before.get(ANNOTATION_SKIP_CLEANUP_BY) or "") if why else ""
    return why, (request["userInfo"].get("username") or "") if why else ""


def _annotations(subject: object) -> Mapping[str, Any]:
    return _mapping(_mapping(subject, "metadata"), "annotations") if isinstance(subject, dict) else {}


def _reviewed(app: Mapping[str, Any]) -> bool:
    """People approved the very content ``app`` has."""
    status = _mapping(app, "status")
    return bool(
        status.get("reviewedFingerprint")
        and status["reviewedFingerprint"] == status.get("fingerprint")
        and status.get("observedGeneration") == _mapping(app, "metadata").get("generation")
    )


def _mapping(parent: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """An object's field, empty where something else stands, which the API server refuses by itself."""
    value = parent.get(field)
    return value if isinstance(value, dict) else {}


def is_machine(identity: str, settings: PolicySettings) -> bool:
    """True for an account that no person is: the system's, and those GitOps writes under."""
    return identity.startswith(SYSTEM) or identity.removeprefix("user:") in settings.gitops


def same_person(names: Iterable[str], settings: PolicySettings) -> frozenset[str]:
    """``names`` in a form to compare, with all other names of the same people that the settings list.

    User and person names are one name space, compared without case: one account's name may be the other's person.
    """
    known = {_comparable(name) for name in names}
    for person in settings.people:
        aliases = {_comparable(name) for name in person.identities}
        if known & aliases:
            known |= aliases
    return frozenset(known)


def _comparable(name: str) -> str:
    kind, _, value = name.partition(":")
    return name if kind == "uid" else value.strip().casefold()
