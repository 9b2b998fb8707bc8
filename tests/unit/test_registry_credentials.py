"""Which entry of a Docker configuration file is for which image, and that no password is shown."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from microapp_operator.adapters.registry.challenge import parse_challenges
from microapp_operator.adapters.registry.credentials import Login, find_login
from microapp_operator.errors import Blocked
from microapp_operator.model.image import ImageName, parse_image

DIGEST = f"sha256:{'1' * 64}"
PASSWORD = "s3cret:pw"


def _write(folder: Path, content: Any) -> Path:
    file = folder / "config.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def _auth(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()}


def _image(name: str) -> ImageName:
    image = parse_image(f"{name}@{DIGEST}")
    assert image is not None
    return image


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("registry.example.com/app", "host"),
        ("registry.example.com/team/app", "team"),
        ("registry.example.com/team", "team"),
        ("registry.example.com/teammates/app", "host"),
        ("registry.example.com:5000/app", "port"),
        ("eu.pkg.example.com/app", "wild"),
        ("us.pkg.example.com/app", "us"),
        ("a.b.pkg.example.com/app", ""),
        ("pkg.example.com/app", ""),
        ("evil-registry.example.com/app", ""),
        ("registry.example.com.evil.org/app", ""),
        ("nginx", "hub"),
        ("docker.io/bitnami/nginx", "hub"),
    ],
)
def test_the_narrowest_entry_for_an_image_counts_and_no_other_host_gets_one(
    tmp_path: Path, name: str, user: str
) -> None:
    entries = {
        "registry.example.com": "host",
        "https://registry.example.com/team/": "team",
        "registry.example.com:5000": "port",
        "*.pkg.example.com": "wild",
        "us.pkg.example.com": "us",
        "https://index.docker.io/v1/": "hub",
    }
    file = _write(tmp_path, {"auths": {entry: _auth(who) for entry, who in entries.items()}})
    found = find_login(file, _image(name))
    assert (found.user if found else "") == user
    assert found is None or found.password == PASSWORD


def test_without_a_file_there_is_none_and_a_new_one_is_seen_at_once(tmp_path: Path) -> None:
    image = _image("registry.example.com/app")
    assert find_login(None, image) is None
    file = _write(tmp_path, {"auths": {}})
    assert find_login(file, image) is None
    _write(tmp_path, {"auths": {"registry.example.com": {"username": "new", "password": PASSWORD}}})
    assert find_login(file, image) == Login("new", PASSWORD)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "no JSON"),
        (f"{{{PASSWORD}", "no JSON"),
        ([], "no object auths"),
        ({"auths": [PASSWORD]}, "no object auths"),
        ({"auths": {"registry.example.com": PASSWORD}}, "no user name and password"),
        ({"auths": {"registry.example.com": {}}}, "no user name and password"),
        ({"auths": {"registry.example.com": {"auth": PASSWORD}}}, "no user name and password"),
        ({"auths": {"registry.example.com": {"auth": "/w=="}}}, "no user name and password"),
        ({"auths": {"registry.example.com": {"identitytoken": PASSWORD}}}, "no user name and password"),
        ({"auths": {"registry.example.com": {"username": "x", "password": ""}}}, "no user name and password"),
    ],
)
def test_a_file_that_is_no_good_is_said_without_what_is_in_it(tmp_path: Path, content: Any, words: str) -> None:
    file = tmp_path / "config.json" if content is None else _write(tmp_path, content)
    with pytest.raises(Blocked, match=words) as refusal:
        find_login(file, _image("registry.example.com/app"))
    assert PASSWORD not in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


def test_a_login_does_not_show_itself() -> None:
    assert PASSWORD not in repr(Login("operator", PASSWORD))


@pytest.mark.parametrize(
    ("headers", "offers"),
    [
        (['Basic realm="Registry Realm"'], {"basic": {"realm": "Registry Realm"}}),
        (
            ['Bearer realm="https://auth.example.com/token",service="r",scope="repository:a/b:pull,push"'],
            {
                "bearer": {
                    "realm": "https://auth.example.com/token",
                    "service": "r",
                    "scope": "repository:a/b:pull,push",
                }
            },
        ),
        (
            ['BASIC realm="a", bearer Realm = b , service=c'],
            {"basic": {"realm": "a"}, "bearer": {"realm": "b", "service": "c"}},
        ),
        (['Basic realm="a"', 'Bearer realm="b"'], {"basic": {"realm": "a"}, "bearer": {"realm": "b"}}),
        ([r'Basic realm="say \"a\\b\""'], {"basic": {"realm": r'say "a\b"'}}),
        (["Negotiate"], {"negotiate": {}}),
        (["Negotiate dG9rZW4=="], {"negotiate": {}}),
        (['Bearer realm="open'], {"bearer": {}}),
        (["", ",,", "=", '"'], {}),
    ],
)
def test_a_challenge_is_read_as_rfc_9110_has_it(headers: list[str], offers: dict[str, dict[str, str]]) -> None:
    assert parse_challenges(headers) == offers
