"""An app that doesn't say what it runs: its image's registry does, and is needed once."""

import socket
from typing import Any

import pytest
from hack.process import OperatorProcess

from microapp_operator.desired.launching import PROGRAM
from tests.component.conftest import Tenant
from tests.forwarding.conftest import RegistryPlace
from tests.support.eventually import eventually
from tests.support.registry import registry

pytestmark = pytest.mark.usefixtures("operator")


def _push(place: RegistryPlace, name: str) -> str:
    """An image of its own, so that no test knows what another learned."""
    with registry(place.folder, port=place.port) as server:
        image = server.push_image(f"team/{name}", ["/entry.sh"], ["serve", f"--{name}=$(HOME)"])
    return f"{image.host}/{image.repository}@{image.digest}"


def _words(deployment: dict[str, Any]) -> list[str]:
    (app,) = deployment["spec"]["template"]["spec"]["containers"]
    return [*app.get("command", ()), *app.get("args", ())]


def test_it_is_asked_once_and_pods_stay_as_they_are_when_a_new_operator_finds_it_away(
    tenant: Tenant, place: RegistryPlace, operator: OperatorProcess
) -> None:
    image = _push(place, "once")
    with registry(place.folder, port=place.port):
        home = tenant.apply(runtime={"image": image})
        tenant.wait("app", "Ready")
    before = tenant.get("deployment", "app", home)
    assert before["metadata"]["generation"] == 1, "never started without a forwarder"
    words = _words(before)
    assert words[:2] == [PROGRAM, "run"]
    assert words[words.index("--") + 1 :] == ["/entry.sh", "serve", "--once=$$(HOME)"]
    known = {"image": image, "command": ["/entry.sh"], "args": ["serve", "--once=$(HOME)"]}
    assert tenant.get("mapp", "app")["status"]["entrypoint"] == known
    assert operator.stop() == 0
    operator.start()
    tenant.patch("app", {"description": "looked at by another process"})
    tenant.wait("app", "Ready")
    eventually(lambda: tenant.get("mapp", "app")["status"]["observedGeneration"], 2)
    after = tenant.get("deployment", "app", home)
    assert after["spec"]["template"] == before["spec"]["template"]
    tenant.patch("app", {"runtime": {"command": ["/other"]}})
    eventually(lambda: _words(tenant.get("deployment", "app", home))[-1], "/other")
    assert "entrypoint" not in tenant.get("mapp", "app")["status"]


def test_an_app_waits_for_the_first_answer_and_says_so(tenant: Tenant, place: RegistryPlace) -> None:
    image = _push(place, "late")
    home = tenant.apply(runtime={"image": image})
    eventually(lambda: tenant.reasons("app", "LogForwarding"), ("Unknown", "Progressing"))
    assert tenant.reasons("app", "Ready") == ("Unknown", "Progressing")
    assert not tenant.exists("deployment", "app", home)
    with registry(place.folder, port=place.port):
        tenant.wait("app", "Ready")
    found = tenant.get("deployment", "app", home)
    assert found["metadata"]["generation"] == 1
    assert _words(found)[:2] == [PROGRAM, "run"]


def test_one_that_hangs_holds_up_nobody_and_is_heard_when_it_answers(tenant: Tenant, place: RegistryPlace) -> None:
    image = _push(place, "hangs")
    with socket.create_server(("127.0.0.1", place.port)):
        home = tenant.apply(runtime={"image": image})
        other = tenant.apply("neighbour", runtime={"image": image, "command": ["/app"]})
        tenant.wait("neighbour", "Ready")
        assert tenant.exists("deployment", "neighbour", other)
        tenant.wait("app", "Ready")
        assert tenant.get("deployment", "app", home)["metadata"]["generation"] == 1
        assert _words(tenant.get("deployment", "app", home)) == []
        status, reason, message = tenant.condition("app", "LogForwarding")
        assert (status, reason) == ("False", "EntrypointUnknown")
        assert "has not answered" in message
    with registry(place.folder, port=place.port):
        eventually(lambda: _words(tenant.get("deployment", "app", home))[:2], [PROGRAM, "run"], timeout=180)
    assert tenant.get("deployment", "app", home)["metadata"]["generation"] == 2
