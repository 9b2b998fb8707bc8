"""Stamps on MicroApps: of editors when the object is no MicroApp, and of who lets an app's secrets be."""

from typing import Any

import pytest
from tests.support.reviews import request_of

from microapp_operator.constants import ANNOTATION_SKIP_CLEANUP, ANNOTATION_SKIP_CLEANUP_BY
from microapp_operator.policy.identity import resolve_skip, stamp_editors
from microapp_operator.policy.stamp import build_stamp

BY = "/metadata/annotations/microapps.dev~1skip-secret-cleanup-by"


@pytest.mark.parametrize("value", [1, "text", ["list"], True, None])
@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
@pytest.mark.parametrize("which", ["object", "oldObject"])
def test_a_malformed_object_never_takes_the_requester_off_the_stamp(which: str, part: str, value: Any) -> None:
    request = request_of("microapp_update", userInfo={"username": "mallory@example.com"})
    request["object"]["spec"]["riskTier"] = "low"
    request[which][part] = value
    assert "user:mallory@example.com" in stamp_editors(request)


def skipping(before: tuple[str, str] | None, after: tuple[str, str]) -> dict[str, Any]:
    """A request by carol; (reason, stamp) of the app before and after it, empty for what isn't there."""

    def annotated(values: tuple[str, str]) -> dict[str, Any]:
        named = zip((ANNOTATION_SKIP_CLEANUP, ANNOTATION_SKIP_CLEANUP_BY), values, strict=True)
        return {"metadata": {"annotations": {k: v for k, v in named if v}}, "spec": {"suspend": False}}

    request = request_of("microapp", userInfo={"username": "carol"})
    if before is None:
        return {**request, "oldObject": None, "object": annotated(after)}
    return {**request, "operation": "UPDATE", "oldObject": annotated(before), "object": annotated(after)}


@pytest.mark.parametrize(
    ("before", "after", "resolved", "patched"),
    [
        pytest.param(None, ("", ""), ("", ""), None, id="nothing"),
        pytest.param(None, ("lost", ""), ("lost", "carol"), "carol", id="from-the-beginning"),
        pytest.param(None, ("lost", "bob"), ("lost", "carol"), "carol", id="copied"),
        pytest.param(None, ("", "bob"), ("", ""), "", id="a-stamp-copied-without-its-reason"),
        pytest.param(("", ""), ("lost", ""), ("lost", "carol"), "carol", id="set"),
        pytest.param(("lost", "bob"), ("lost", "bob"), ("", "bob"), None, id="kept"),
        pytest.param(("lost", "bob"), ("lost", ""), ("", "bob"), "bob", id="the-stamp-taken-off"),
        pytest.param(("lost", "bob"), ("gone", "bob"), ("gone", "carol"), "carol", id="another-reason"),
        pytest.param(("lost", "bob"), ("", "bob"), ("", ""), "", id="taken-back"),
        pytest.param(("lost", "bob"), ("", ""), ("", ""), None, id="taken-back-with-its-stamp"),
        pytest.param(("lost", "bob"), ("lost", "dan"), ("", "bob"), None, id="forged-and-left-to-be-refused"),
        pytest.param(("lost", ""), ("lost", ""), ("", ""), None, id="set-before-there-was-a-stamp"),
    ],
)
def test_who_lets_secrets_be_is_named_and_the_stamp_goes_with_the_reason(
    before: tuple[str, str] | None, after: tuple[str, str], resolved: tuple[str, str], patched: str | None
) -> None:
    request = skipping(before, after)
    assert resolve_skip(request) == resolved
    about = [each for each in build_stamp(request) if each["path"] == BY]
    if patched is None:
        assert about == []
    elif patched:
        assert about == [{"op": "add", "path": BY, "value": patched}]
    else:
        assert about == [{"op": "remove", "path": BY}]
