"""What images run is read from real registries: with and without TLS, passwords and tokens."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from microapp_operator.adapters.registry import HttpRegistries
from microapp_operator.decide.entrypoint import ImageProcess
from microapp_operator.errors import Blocked, InvalidSpec, Transient
from microapp_operator.model.image import ImageName
from microapp_operator.settings import RegistrySettings
from tests.support.registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    RegistryServer,
    configuration,
    credentials,
    describe,
    index,
    manifest,
    registry,
)

USER, PASSWORD = "operator", "s3cret-pw"
HASH = "$2b$04$abcdefghijklmnopqrstuufbu7IbsAKnz0sK.RhkuQd5ApLvLcZVy"
"""Of that password, by bcrypt, as the registry wants it."""
RUNS = ImageProcess("linux/amd64", ("/entry.sh",), ("serve", "--now"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[RegistryServer]:
    with registry(folder) as server:
        yield server


def reader(*plain_http: str, file: Path | None = None, ca: str = "") -> HttpRegistries:
    return HttpRegistries(RegistrySettings(plain_http=plain_http, credentials=file, ca=ca))


def at(server: RegistryServer, image: ImageName) -> ImageName:
    """The same image from another registry with the same folder."""
    return ImageName(server.address, image.repository, image.digest)


@pytest.mark.parametrize(
    ("entrypoint", "cmd"),
    [(["/entry.sh"], ["serve"]), (["/entry.sh"], None), (None, ["python", "main.py"]), (None, None)],
)
async def test_an_images_entrypoint_and_cmd_are_read(
    plain: RegistryServer, entrypoint: list[str] | None, cmd: list[str] | None
) -> None:
    image = plain.push_image("team/app", entrypoint, cmd)
    (found,) = await reader(plain.address).read(image)
    assert found == ImageProcess("linux/amd64", tuple(entrypoint or ()), tuple(cmd or ()))


@pytest.mark.parametrize(("of_all", "of_one"), [(INDEX, MANIFEST), (DOCKER_LIST, DOCKER_MANIFEST)])
async def test_of_an_index_the_usual_platforms_are_read(plain: RegistryServer, of_all: str, of_one: str) -> None:
    children = []
    platforms = ("linux/amd64", "linux/arm64", "linux/s390x", "windows/amd64", "unknown/unknown")
    for platform in platforms:
        config = configuration([f"/{platform}"], None, platform)
        plain.push("team/multi", manifest(config, of_one), of_one, [config])
        children.append(describe(of_one, manifest(config, of_one), platform))
    image = plain.push("team/multi", index(children, of_all), of_all)
    found = await reader(plain.address).read(image)
    assert [(p.platform, p.entrypoint) for p in found] == [(p, (f"/{p}",)) for p in ("linux/amd64", "linux/arm64")]
    rare = plain.push("team/multi", index(children[2:], of_all), of_all)
    assert [p.platform for p in await reader(plain.address).read(rare)] == ["linux/s390x"]
    other = plain.push("team/multi", index(children[3:], of_all), of_all)
    assert await reader(plain.address).read(other) == []


async def test_an_image_that_is_not_there_is_refused_by_name(plain: RegistryServer) -> None:
    with pytest.raises(Blocked, match=r"team/none is not to be had \(404 MANIFEST_UNKNOWN\)"):
        await reader(plain.address).read(ImageName(plain.address, "team/none", f"sha256:{'0' * 64}"))


async def test_without_an_admins_word_nothing_is_asked_without_tls(plain: RegistryServer) -> None:
    image = plain.push_image("team/app", ["/app"], None)
    with pytest.raises(Transient, match="TLS"):
        await reader().read(image)


async def test_a_registry_whose_certificate_an_admin_vouches_for_is_read(plain: RegistryServer, folder: Path) -> None:
    image = plain.push_image("team/app", ["/entry.sh"], ["serve", "--now"])
    authority = trustme.CA()
    certificate, key = folder / "tls.crt", folder / "tls.key"
    issued = authority.issue_cert("127.0.0.1")
    certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    with registry(folder, http={"tls": {"certificate": str(certificate), "key": str(key)}}) as server:
        with pytest.raises(Blocked, match=r"certificate of registry .* isn't trusted"):
            await reader().read(at(server, image))
        ca = authority.cert_pem.bytes().decode()
        assert await reader(ca=ca).read(at(server, image)) == [RUNS]


@pytest.mark.parametrize("ca", ["no certificate", "zertifikät"])
def test_certificates_that_are_none_are_refused_at_the_start(ca: str) -> None:
    with pytest.raises(InvalidSpec, match="ca"):
        reader(ca=ca)


async def test_a_password_is_sent_where_a_registry_wants_one(plain: RegistryServer, folder: Path) -> None:
    image = plain.push_image("team/app", ["/entry.sh"], ["serve", "--now"])
    passwords = folder / "htpasswd"
    passwords.write_text(f"{USER}:{HASH}\n")
    with registry(folder, auth={"htpasswd": {"realm": "ours", "path": str(passwords)}}) as server:
        with pytest.raises(Blocked, match=r"asks for credentials .401., and the operator has none for it"):
            await reader(server.address).read(at(server, image))
        wrong = credentials(folder, **{server.address: (USER, "wrong-pw")})
        with pytest.raises(Blocked, match=r"may not read .* with the credentials it has for it \(401") as refusal:
            await reader(server.address, file=wrong).read(at(server, image))
        assert "wrong-pw" not in str(refusal.value)
        right = credentials(folder, **{server.address: (USER, PASSWORD)})
        assert await reader(server.address, file=right).read(at(server, image)) == [RUNS]


class Tokens:
    """Gives tokens that the real registry takes, for what is asked to whom may. asked: queries and Authorization."""

    def __init__(self, anonymous: tuple[str, ...]) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.anonymous, self.asked = anonymous, list[tuple[dict[str, list[str]], str]]()

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "test", "use": "sig", "alg": "ES256"}]}

    def token(self, query: dict[str, list[str]], authorization: str) -> str | None:
        self.asked.append((query, authorization))
        (scope,) = query["scope"]
        kind, name, actions = scope.split(":")
        known = authorization == f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if authorization and not known:
            return None
        may = known or name in self.anonymous
        access = [{"type": kind, "name": name, "actions": actions.split(",")}] if may else []
        now = datetime.now(UTC)
        claims = {"iss": "tokens", "sub": USER, "aud": query["service"][0], "access": access, "jti": "1"}
        times = {"iat": now, "nbf": now - timedelta(seconds=5), "exp": now + timedelta(minutes=5)}
        return jwt.encode({**claims, **times}, self.key, algorithm="ES256", headers={"kid": "test"})

    @contextmanager
    def served(self) -> Iterator[str]:
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                given = tokens.token(query, self.headers.get("Authorization", ""))
                self.send_response(200 if given else 401)
                self.end_headers()
                self.wfile.write(json.dumps({"token": given, "errors": [{"code": PASSWORD}]}).encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"127.0.0.1:{server.server_address[1]}"
            server.shutdown()


async def test_a_token_is_got_from_where_the_registry_says(plain: RegistryServer, folder: Path) -> None:
    public = plain.push_image("public/app", ["/entry.sh"], ["serve", "--now"])
    private = plain.push_image("private/app", ["/entry.sh"], ["serve", "--now"])
    tokens, jwks = Tokens(anonymous=("public/app",)), folder / "jwks.json"
    jwks.write_text(json.dumps(tokens.keys()))
    with tokens.served() as realm:
        given = {"realm": f"http://{realm}/token", "service": "ours", "issuer": "tokens", "jwks": str(jwks)}
        with registry(folder, auth={"token": given}) as server:
            both = (server.address, realm)
            assert await reader(*both).read(at(server, public)) == [RUNS]
            assert tokens.asked == [({"service": ["ours"], "scope": ["repository:public/app:pull"]}, "")]
            with pytest.raises(Blocked, match=r"may not read .*private/app without credentials .40"):
                await reader(*both).read(at(server, private))
            wrong = credentials(folder, **{server.address: (USER, "wrong-pw")})
            with pytest.raises(Blocked, match="with the credentials it has for it") as refusal:
                await reader(*both, file=wrong).read(at(server, private))
            assert PASSWORD not in str(refusal.value), "nor what the answer says"
            right = credentials(folder, **{server.address: (USER, PASSWORD)})
            assert await reader(*both, file=right).read(at(server, private)) == [RUNS]
            with pytest.raises(Blocked, match=r"has its tokens from 127.0.0.1 without TLS"):
                await reader(server.address, file=right).read(at(server, private))


async def test_a_blob_is_had_from_where_a_registry_keeps_it_without_what_it_was_sent(
    plain: RegistryServer, folder: Path
) -> None:
    """The registry itself redirects, as those with a CDN or a bucket do."""
    image = plain.push_image("team/app", ["/entry.sh"], ["serve", "--now"])
    passwords = folder / "htpasswd"
    passwords.write_text(f"{USER}:{HASH}\n")
    asked = []

    class Bucket(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()
            self.wfile.write((folder / "images" / urlsplit(self.path).path.lstrip("/")).read_bytes())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as bucket:
        threading.Thread(target=bucket.serve_forever, daemon=True).start()
        place = f"localhost:{bucket.server_address[1]}"
        redirect = {"storage": [{"name": "redirect", "options": {"baseurl": f"http://{place}/"}}]}
        htpasswd = {"htpasswd": {"realm": "ours", "path": str(passwords)}}
        with registry(folder, auth=htpasswd, middleware=redirect) as server:
            file = credentials(folder, **{server.address: (USER, PASSWORD)})
            assert await reader(server.address, place, file=file).read(at(server, image)) == [RUNS]
            assert asked == [None]
            with pytest.raises(Blocked, match="leads to localhost without TLS"):
                await reader(server.address, file=file).read(at(server, image))
        bucket.shutdown()
