"""A real registry, with what auth and TLS a test wants, and images in it that run what a test says."""

import base64
import hashlib
import http.client
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack.lab.build import binary, ensure_built
from hack.lab.components import NODE
from hack.lab.controlplane import free_ports

from microapp_operator.model.image import ImageName, parse_image
from tests.support.eventually import eventually

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_PROGRAM: Final = next(component for component in NODE if component.name == "registry")


def encode(content: object) -> bytes:
    """As a registry keeps it."""
    return json.dumps(content, separators=(",", ":")).encode()


def digest_of(content: bytes) -> str:
    """What it is named by."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(kind: str, content: bytes, platform: str = "") -> dict[str, Any]:
    """What refers to ``content``. platform: such as linux/amd64."""
    found: dict[str, Any] = {"mediaType": kind, "digest": digest_of(content), "size": len(content)}
    if platform:
        found["platform"] = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
    return found


def configuration(entrypoint: Sequence[str] | None, cmd: Sequence[str] | None, platform: str = "linux/amd64") -> bytes:
    """Of an image."""
    place = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
    process = {"Entrypoint": entrypoint, "Cmd": cmd, "Env": ["PATH=/usr/bin"], "WorkingDir": "/"}
    return encode({**place, "config": process, "rootfs": {"type": "layers", "diff_ids": []}})


def manifest(config: bytes, kind: str = MANIFEST) -> bytes:
    """Of an image without layers."""
    of = CONFIG if kind == MANIFEST else DOCKER_CONFIG
    return encode({"schemaVersion": 2, "mediaType": kind, "config": describe(of, config), "layers": []})


def index(children: Sequence[dict[str, Any]], kind: str = INDEX) -> bytes:
    """Of images."""
    return encode({"schemaVersion": 2, "mediaType": kind, "manifests": list(children)})


@dataclass(frozen=True)
class RegistryServer:
    """One that runs. address: HOST:PORT."""

    address: str

    def push(self, repository: str, content: bytes, kind: str, blobs: Sequence[bytes] = ()) -> ImageName:
        """Push a manifest, after the blobs it refers to; the name it has then. Without auth and TLS."""
        with closing(http.client.HTTPConnection(self.address, timeout=30)) as line:
            for blob in blobs:
                line.request("POST", f"/v2/{repository}/blobs/uploads/")
                place = line.getresponse()
                place.read()
                where = place.headers["Location"]
                line.request("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest_of(blob)}", blob)
                _expect(line, 201)
            line.request("PUT", f"/v2/{repository}/manifests/{digest_of(content)}", content, {"Content-Type": kind})
            _expect(line, 201)
        return ImageName(self.address, repository, digest_of(content))

    def derive(self, image: str, entrypoint: Sequence[str], cmd: Sequence[str]) -> str:
        """Another image of the same layers as ``image`` that runs this; its name. Without auth and TLS."""
        name = parse_image(image)
        assert name is not None
        found = json.loads(self._get(f"/v2/{name.repository}/manifests/{name.digest}"))
        config = json.loads(self._get(f"/v2/{name.repository}/blobs/{found['config']['digest']}"))
        content = encode({**config, "config": {**config["config"], "Entrypoint": entrypoint, "Cmd": cmd}})
        described = {**found["config"], "digest": digest_of(content), "size": len(content)}
        pushed = self.push(
            name.repository, encode({**found, "config": described}), found.get("mediaType", MANIFEST), [content]
        )
        return f"{name.host}/{name.repository}@{pushed.digest}"

    def _get(self, path: str) -> bytes:
        with closing(http.client.HTTPConnection(self.address, timeout=30)) as line:
            line.request("GET", path, headers={"Accept": f"{MANIFEST}, {DOCKER_MANIFEST}"})
            answer = line.getresponse()
            said = answer.read()
            assert answer.status == 200, said
            return said

    def push_image(self, repository: str, entrypoint: Sequence[str] | None, cmd: Sequence[str] | None) -> ImageName:
        """An image for linux/amd64 that runs this."""
        config = configuration(entrypoint, cmd)
        return self.push(repository, manifest(config), MANIFEST, [config])


@contextmanager
def registry(folder: Path, *, port: int = 0, **more: Any) -> Iterator[RegistryServer]:
    """It keeps what is pushed in ``folder``/images, as others with the same folder do.

    port: 0 takes a free one. more: of its configuration.
    """
    ensure_built(_PROGRAM)
    port = port or free_ports(1)[0]
    address = f"127.0.0.1:{port}"
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": address, "relativeurls": True, **more.pop("http", {})},
        **more,
    }
    file = folder / f"registry-{port}.json"
    file.write_text(json.dumps(settings))
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    command = [str(binary(_PROGRAM)), "serve", str(file)]
    with (
        (folder / f"registry-{port}.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, (folder / f"registry-{port}.log").read_text()[-2000:]
            yield RegistryServer(address)
        finally:
            process.terminate()


def credentials(folder: Path, **entries: tuple[str, str]) -> Path:
    """A Docker configuration file: user and password by the name of the entry."""
    auths = {name: {"auth": base64.b64encode(":".join(login).encode()).decode()} for name, login in entries.items()}
    file = folder / "config.json"
    file.write_text(json.dumps({"auths": auths}))
    return file


def _listens(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as line:
        try:
            line.connect()
        except OSError:
            return False
        return True


def _expect(line: http.client.HTTPConnection, status: int) -> None:
    answer = line.getresponse()
    said = answer.read()
    assert answer.status == status, said
