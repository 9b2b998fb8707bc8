"""The editors' stamp, when the object it is computed from is no MicroApp."""

from typing import Any

import pytest
from tests.support.reviews import request_of

from microapp_operator.policy.identity import stamp_editors


@pytest.mark.parametrize("value", [1, "text", ["list"], True, None])
@pytest.mark.parametrize("part", ["metadata", "spec", "status"])
@pytest.mark.parametrize("which", ["object", "oldObject"])
def test_a_malformed_object_never_takes_the_requester_off_the_stamp(which: str, part: str, value: Any) -> None:
    request = request_of("microapp_update", userInfo={"username": "mallory@example.com"})
    request["object"]["spec"]["riskTier"] = "low"
    request[which][part] = value
    assert "user:mallory@example.com" in stamp_editors(request)
