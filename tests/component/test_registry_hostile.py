"""Whatever is said in a registry's place: nothing false is believed, nothing secret goes astray, and it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from microapp_operator.adapters.registry import HttpRegistries
from microapp_operator.adapters.registry.line import CONTENT_MAX
from microapp_operator.errors import Blocked, OperatorError, Transient
from microapp_operator.model.image import ImageName
from microapp_operator.settings import RegistrySettings
from tests.support.hostile_registry import Answer, Hostile, hostile, saying
from tests.support.registry import MANIFEST, configuration, credentials, describe, digest_of, encode, index, manifest

CONFIG = configuration(["/app"], None)
SECRET = "s3cret-pw"


@pytest.fixture
async def server() -> AsyncIterator[Hostile]:
    async with hostile() as server:
        yield server


@pytest.fixture
def file(server: Hostile, tmp_path: Path) -> Path:
    return credentials(tmp_path, **{server.address: ("operator", SECRET)})


async def read(server: Hostile, image: ImageName, file: Path | None = None, within: float = 30.0) -> None:
    plain = (server.address, server.elsewhere)
    await HttpRegistries(RegistrySettings(plain_http=plain, credentials=file), within).read(image)


async def refused(server: Hostile, image: ImageName, file: Path | None = None, within: float = 30.0) -> OperatorError:
    with pytest.raises(OperatorError) as refusal:
        await read(server, image, file, within)
    assert SECRET not in str(refusal.value)
    assert len(refusal.value.finding.message) < 600
    return refusal.value


async def test_what_is_not_what_was_asked_for_is_not_believed(server: Hostile) -> None:
    good = manifest(server.blob(CONFIG))
    other = manifest(server.blob(configuration(["/evil"], None)))
    assert "isn't what was asked for" in str(await refused(server, server.manifest(good, other)))
    image = server.manifest(good)
    await read(server, image)
    server.blob(CONFIG, configuration(["/evil"], None))
    assert "isn't what was asked for" in str(await refused(server, image))
    child = describe(MANIFEST, good, "linux/amd64")
    server.manifest(good, other)
    assert "isn't what was asked for" in str(await refused(server, server.manifest(index([child]))))


DEEP = b'{"schemaVersion":' + b"[" * 100_000
NO_IMAGE = describe("application/vnd.cncf.helm.config.v1+json", b"{}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON"),
        (b"<html>log in</html>", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (DEEP, "no JSON"),
        (b"[]", "manifest"),
        (b"null", "manifest"),
        (encode({"schemaVersion": 1, "config": describe("x", b"")}), "schemaVersion"),
        (encode({"schemaVersion": 2}), "neither an image nor an index"),
        (encode({"schemaVersion": 2, "config": NO_IMAGE, "layers": []}), "no container image"),
        (encode({"schemaVersion": 2, "manifests": [], "config": describe("x", b"")}), "neither an image nor an index"),
        (encode({"schemaVersion": 2, "manifests": [], "layers": []}), "neither an image nor an index"),
        (encode({"schemaVersion": 2, "manifests": [{"digest": "sha256:../../../etc"}]}), "digest"),
        (encode({"schemaVersion": 2, "manifests": [{"digest": f"sha512:{'0' * 128}"}]}), "digest"),
        (
            index([describe(MANIFEST, str(number).encode(), "linux/arm64") for number in range(17)]),
            "17 images; 16 are looked at",
        ),
    ],
)
async def test_what_is_no_manifest_is_refused(server: Hostile, content: bytes, words: str) -> None:
    failure = await refused(server, server.manifest(content))
    assert isinstance(failure, Blocked)
    assert words in failure.finding.message


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", encode({"config": {"Entrypoint": "/app"}}), encode({"config": {"Cmd": [1]}}), encode({"config": 7})],
)
async def test_what_is_no_configuration_is_refused(server: Hostile, content: bytes) -> None:
    assert isinstance(await refused(server, server.manifest(manifest(server.blob(content)))), Blocked)


async def test_an_index_in_an_index_is_not_followed(server: Hostile) -> None:
    inner = index([])
    server.manifest(inner)
    failure = await refused(server, server.manifest(index([describe(MANIFEST, inner, "linux/amd64")])))
    assert "an index in it" in failure.finding.message


async def test_what_has_no_end_is_read_no_further(server: Hostile) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 65_536)
            sent += 65_536

    failure = await refused(server, server.manifest(b"{}", endless))
    assert f"longer than {CONTENT_MAX} bytes" in failure.finding.message
    assert sent < 10 * CONTENT_MAX


async def test_a_packed_answer_is_not_unpacked(server: Hostile) -> None:
    content = manifest(server.blob(CONFIG))
    failure = await refused(server, server.manifest(content, saying(200, "packed", Content_Encoding="gzip")))
    assert "isn't what was asked for" in failure.finding.message


async def test_who_never_answers_is_given_up(server: Hostile) -> None:
    never = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    failure = await refused(server, server.manifest(b"{}", hang), within=0.2)
    assert isinstance(failure, Transient)
    assert "has not answered in time" in failure.finding.message
    never.set()


async def test_who_breaks_off_is_asked_again(server: Hostile) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return answer

    assert isinstance(await refused(server, server.manifest(b"{}", break_off)), Transient)


@pytest.mark.parametrize(
    ("status", "headers", "again"),
    [(429, {"Retry_After": "7"}, 7.0), (503, {"Retry_After": "soon"}, None), (500, {}, None), (502, {}, None)],
)
async def test_who_is_busy_is_asked_when_it_says(
    server: Hostile, status: int, headers: dict[str, str], again: float | None
) -> None:
    failure = await refused(server, server.manifest(b"{}", saying(status, **headers)))
    assert isinstance(failure, Transient)
    assert failure.retry_after == again


BEARER = 'Bearer realm="http://{}/token",service="ours",scope="repository:app:pull"'


async def test_credentials_and_tokens_go_to_the_registry_and_its_realm_and_nowhere_else(
    server: Hostile, file: Path
) -> None:
    """Neither to where a redirect leads, of a manifest or of a blob, though it asks for them."""
    content = manifest(server.blob(CONFIG))
    digest, blob = digest_of(content), digest_of(CONFIG)
    token = saying(200, json.dumps({"access_token": "t0ken"}))
    server.answers["/token"] = token

    def moved(path: str) -> Answer:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not request.headers.get("Authorization"):
                raise web.HTTPUnauthorized(headers={"WWW-Authenticate": BEARER.format(server.address)})
            raise web.HTTPTemporaryRedirect(f"http://{server.elsewhere}/{path}?signature=s1gned")

        return answer

    image = server.manifest(content, moved("cdn/manifest"))
    server.blob(CONFIG, moved("cdn/blob"))
    server.answers |= {"/cdn/manifest": content, "/cdn/blob": CONFIG}
    await read(server, image, file)
    sent = dict(server.seen)
    assert sent["/token"].startswith("Basic ")
    assert sent[f"/v2/app/manifests/{digest}"] == sent[f"/v2/app/blobs/{blob}"] == "Bearer t0ken"
    assert sent["/cdn/manifest"] == sent["/cdn/blob"] == ""
    server.answers["/cdn/blob"] = saying(401, WWW_Authenticate=BEARER.format(server.elsewhere))
    server.seen.clear()
    failure = await refused(server, image, file)
    assert "s1gned" not in str(failure), "the address is a credential itself"
    assert [path for path, _ in server.seen].count("/token") == 1


async def test_a_realm_is_not_followed_elsewhere(server: Hostile, file: Path) -> None:
    server.answers["/token"] = saying(307, Location=f"http://{server.elsewhere}/steal")
    image = server.manifest(b"{}", saying(401, WWW_Authenticate=BEARER.format(server.address)))
    await refused(server, image, file)
    assert "/steal" not in dict(server.seen)


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Negotiate abc==",
        "Bearer",
        'Bearer realm=""',
        'Bearer realm="/token"',
        'Bearer realm="file:///etc/passwd"',
        'Bearer realm="http://169.254.169.254/latest"',
        'Bearer realm="http://[::1"',
        'Bearer realm="' + "\\" * 1000,
        "Bearer " + ", ".join(["a=b"] * 1000),
    ],
)
async def test_a_challenge_that_leads_nowhere_is_a_refusal(server: Hostile, challenge: str) -> None:
    failure = await refused(server, server.manifest(b"{}", saying(401, WWW_Authenticate=challenge)))
    assert isinstance(failure, Blocked)
    assert len(server.seen) == 1


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"token": 7}', '{"token": "a\\r\\nX: y"}', '{"token": ""}'])
async def test_what_is_no_token_is_not_sent(server: Hostile, said: str) -> None:
    server.answers["/token"] = saying(200, said)
    image = server.manifest(b"{}", saying(401, WWW_Authenticate=BEARER.format(server.address)))
    assert "gave none" in str(await refused(server, image))


async def test_an_answer_that_says_what_it_was_sent_is_not_quoted(server: Hostile, file: Path) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        sent = request.headers.get("Authorization", "")
        said = json.dumps({"errors": [{"code": "DENIED", "message": sent}, {"code": SECRET}, {"code": sent}, 7]})
        return web.Response(status=403 if sent else 401, text=said, headers={"WWW-Authenticate": "Basic realm=x"})

    failure = await refused(server, server.manifest(b"{}", echo), file)
    assert "(403)" in str(failure) or "(403 DENIED)" in str(failure)
    assert "Basic" not in str(failure)


@pytest.mark.parametrize(
    "location",
    ["", "http://169.254.169.254/latest/meta-data", "ftp://localhost/x", "file:///etc/passwd", "http://[::1", "//"],
)
async def test_a_redirect_leads_nowhere_but_to_tls_or_where_an_admin_said(server: Hostile, location: str) -> None:
    failure = await refused(server, server.manifest(b"{}", saying(307, Location=location)))
    assert isinstance(failure, Blocked)


async def test_redirects_in_a_circle_end(server: Hostile) -> None:
    image = server.manifest(b"{}")
    path = f"/v2/app/manifests/{image.digest}"
    server.answers[path] = saying(302, Location=path)
    assert "without an end" in str(await refused(server, image))
    assert len(server.seen) < 10
