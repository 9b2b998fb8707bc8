"""Certificates from mounted files, how a key reaches OpenSSL, and the loop that looks after both sources."""

import asyncio
import os
import ssl
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from microapp_operator.admission import rotation
from microapp_operator.admission.certificates import build_keyring
from microapp_operator.admission.rotation import FileCertificates, ServingContext, keep_fresh
from microapp_operator.errors import InvalidSpec, Transient
from tests.support.tls import Connection, echoing, served

NOW = datetime.now(UTC)


async def test_the_loop_outlives_every_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "_RETRY", 0.0)
    asked, enough = list[int](), asyncio.Event()

    class Failing(ServingContext):
        async def refresh(self) -> float:
            asked.append(len(asked))
            if len(asked) == 3:
                enough.set()
            if len(asked) % 2:
                raise [Transient("busy"), KeyError("a bug")][len(asked) // 2]
            return 0.0

    loop = asyncio.create_task(keep_fresh(Failing()))
    await asyncio.wait_for(enough.wait(), 5)
    assert not loop.done()
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop


def write_pair(folder: Path, now: datetime) -> bytes:
    """A new pair in the files cert-manager would mount; gives the certificate."""
    leaf = build_keyring(("localhost",), now).leaf
    (folder / "tls.crt").write_bytes(leaf.certificate)
    (folder / "tls.key").write_bytes(leaf.key)
    return leaf.certificate


async def test_mounted_files_are_followed_without_a_break(tmp_path: Path) -> None:
    first = write_pair(tmp_path, NOW)
    files = FileCertificates(tmp_path / "tls.crt", tmp_path / "tls.key")
    assert await files.refresh() == 10
    async with echoing(files.context) as port:
        established = await Connection.open(port)
        second = write_pair(tmp_path, NOW + timedelta(days=1))
        assert await files.refresh() == 10
        await established.ask()
        await established.close()
    assert first != second == await served(files.context)
    assert files.ends == x509.load_pem_x509_certificate(second).not_valid_after_utc


def half(folder: Path) -> None:
    (folder / "tls.crt").write_bytes(build_keyring(("localhost",), NOW).leaf.certificate)


def junk(folder: Path) -> None:
    (folder / "tls.crt").write_bytes(b"junk")


def encrypted(folder: Path) -> None:
    key = serialization.load_pem_private_key((folder / "tls.key").read_bytes(), None)
    protection = serialization.BestAvailableEncryption(b"example")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "tls.key").write_bytes(key.private_bytes(pem, form, protection))


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (half, InvalidSpec),
        (junk, InvalidSpec),
        (encrypted, InvalidSpec),
        (lambda folder: (folder / "tls.key").unlink(), Transient),
    ],
)
async def test_files_that_are_no_pair_change_nothing(
    tmp_path: Path, spoil: Callable[[Path], Any], error: type[Exception]
) -> None:
    before = write_pair(tmp_path, NOW)
    files = FileCertificates(tmp_path / "tls.crt", tmp_path / "tls.key")
    await files.refresh()
    spoil(tmp_path)
    for _ in range(2):
        with pytest.raises(error):
            await files.refresh()
    assert await served(files.context) == before
    after = write_pair(tmp_path, NOW)
    await files.refresh()
    assert await served(files.context) == after


async def test_the_key_file_is_private_and_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    modes: list[str] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, path: Path, **rest: Any) -> None:
        modes.extend(oct(os.stat(each).st_mode)[-3:] for each in (path.parent, path))
        load(context, path, **rest)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    leaf = build_keyring(("localhost",), NOW).leaf
    serving = ServingContext()
    serving.load(leaf.certificate, leaf.key)
    assert modes == ["700", "600"] * 2
    with pytest.raises(ValueError, match="OpenSSL refuses it"):
        serving.load(build_keyring(("localhost",), NOW).leaf.certificate, leaf.key)
    assert os.listdir(tmp_path) == []
    assert await served(serving.context) == leaf.certificate


def test_no_place_for_the_key_is_a_fault_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    leaf = build_keyring(("localhost",), NOW).leaf
    with pytest.raises(Transient, match="no place to hand a key"):
        ServingContext().load(leaf.certificate, leaf.key)
