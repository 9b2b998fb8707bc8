"""Images without Docker: builds OCI archives from files, and pushes archives, whoever built them.

Facts: https://github.com/opencontainers/image-spec (layout, manifest), .../distribution-spec (push).
"""

import hashlib
import http.client
import io
import json
import platform
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any

from hack.lab.build import LabError

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
NOBODY = "65532:65532"
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""This machine's, in Go's words: what is built here runs here."""


def build_archive(archive: Path, files: Mapping[str, Path], command: Sequence[str]) -> str:
    """Write an image of ``files`` (path in the image: file) that runs ``command`` as nobody; its digest.

    The same input gives the same digest.
    """
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        _add_files(tar, files)
    with layer.open("rb") as content:
        diff = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
    config = _json(
        {
            "architecture": _ARCHITECTURE,
            "os": "linux",
            "config": {"Entrypoint": list(command), "User": NOBODY, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        }
    )
    described = {"mediaType": _LAYER, "digest": diff, "size": layer.stat().st_size}
    manifest = _json({**_header(_MANIFEST), "config": _describe(_CONFIG, config), "layers": [described]})
    index = _json({**_header(_INDEX), "manifests": [_describe(_MANIFEST, manifest)]})
    with tarfile.open(archive, "w") as tar:
        for name, blob in (("oci-layout", _json({"imageLayoutVersion": "1.0.0"})), ("index.json", index)):
            _add(tar, name, io.BytesIO(blob), len(blob))
        for blob in (config, manifest):
            _add(tar, _blob_name(_digest(blob)), io.BytesIO(blob), len(blob))
        with layer.open("rb") as content:
            _add(tar, _blob_name(diff), content, layer.stat().st_size)
    layer.unlink()
    return _digest(manifest)


@dataclass(frozen=True)
class Registry:
    """A registry: the name by which nodes know it, and where it is reached from here (HOST:PORT, plain HTTP)."""

    name: str
    address: str

    def answers(self) -> bool:
        """True when it is there and serves."""
        try:
            with closing(http.client.HTTPConnection(self.address, timeout=5)) as line:
                line.request("GET", "/v2/")
                return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def push(self, archive: Path, repository: str) -> str:
        """Push the one image of an OCI archive; returns ``name/repository@sha256:…``. What is there isn't sent."""
        try:
            with tarfile.open(archive) as tar, closing(http.client.HTTPConnection(self.address, timeout=60)) as line:
                layout = _Layout(tar)
                entries = json.loads(layout.read("index.json"))["manifests"]
                if len(entries) != 1:
                    raise LabError(f"{archive} holds {len(entries)} images; one is expected.")
                _Push(line, layout, repository).manifest(entries[0])
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise LabError(f"{archive} is not an OCI archive: {error}") from error
        except OSError as error:
            raise LabError(f"the registry at {self.address} doesn't answer: {error}") from error
        return f"{self.name}/{repository}@{entries[0]['digest']}"


class _Layout:
    """The files of an archive by their names, however the archive spells them ("./index.json")."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = {posixpath.normpath(member.name): member for member in tar}

    def size(self, name: str) -> int:
        return self._members[name].size

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        content = self._tar.extractfile(self._members[name])
        if content is None:
            raise LabError(f"{name} in the archive is no file")
        with content:
            yield content

    def read(self, name: str) -> bytes:
        with self.opened(name) as content:
            return content.read()


@dataclass(frozen=True)
class _Push:
    """One push: over one connection, out of one archive, into one repository."""

    line: http.client.HTTPConnection
    layout: _Layout
    repository: str

    def manifest(self, described: Mapping[str, Any]) -> None:
        """Push what the manifest refers to, then the manifest: a registry refuses it before."""
        content = self.layout.read(_blob_name(described["digest"]))
        manifest = json.loads(content)
        for child in manifest.get("manifests", ()):
            self.manifest(child)
        for blob in (manifest["config"], *manifest["layers"]) if "config" in manifest else ():
            self._blob(blob["digest"])
        path = f"/v2/{self.repository}/manifests/{described['digest']}"
        _ask(self.line, "PUT", path, body=content, headers={"Content-Type": described["mediaType"]})

    def _blob(self, digest: str) -> None:
        self.line.request("HEAD", f"/v2/{self.repository}/blobs/{digest}")
        answer = self.line.getresponse()
        answer.read()
        if answer.status == 200:
            return
        place = _ask(self.line, "POST", f"/v2/{self.repository}/blobs/uploads/")["Location"]
        joined = "&" if "?" in place else "?"
        name = _blob_name(digest)
        headers = {"Content-Length": str(self.layout.size(name)), "Content-Type": "application/octet-stream"}
        with self.layout.opened(name) as content:
            _ask(self.line, "PUT", f"{place}{joined}digest={digest}", body=content, headers=headers)


def _ask(
    line: http.client.HTTPConnection,
    method: str,
    path: str,
    *,
    body: bytes | IO[bytes] = b"",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Mapping[str, str]:
    """The answer's headers; LabError unless it succeeds."""
    line.request(method, path, body, headers)
    answer = line.getresponse()
    said = answer.read()
    if answer.status >= 300:
        raise LabError(f"registry: {method} {path}: {answer.status} {said[:500].decode(errors='replace')}")
    return dict(answer.headers)


def _add_files(tar: tarfile.TarFile, files: Mapping[str, Path]) -> None:
    """The folders above ``files``, because a runtime may make those it misses for root alone; then the files."""
    for folder in sorted({str(parent) for name in files for parent in PurePosixPath(name.lstrip("/")).parents}):
        if folder != ".":
            above = tarfile.TarInfo(folder)
            above.type, above.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(above)
    for name, source in sorted(files.items()):
        entry, status = tarfile.TarInfo(name.lstrip("/")), source.stat()
        entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
        with source.open("rb") as content:
            tar.addfile(entry, content)


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = size
    tar.addfile(entry, content)


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _describe(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _header(media_type: str) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_type}


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
