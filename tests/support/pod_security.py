"""Kubernetes' own examples of pods for the Pod Security Standards, from the module k8s.io/pod-security-admission."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

LEVELS = ("baseline", "restricted")
DIRECTIONS = ("pass", "fail")


class Fixture(NamedTuple):
    """One example.

    version: minor of Kubernetes 1.x. direction: ``pass`` or ``fail``, what the pod must do at this level and version.
    """

    level: str
    version: int
    direction: str
    path: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """Unique over all examples, as ``restricted/v1.35/fail/sysctls0``."""
        return f"{self.level}/v1.{self.version}/{self.direction}/{self.path.stem}"


def load_fixtures(module_dir: Path) -> list[Fixture]:
    """All examples of the module unpacked in ``module_dir``, by level, version, direction and name.

    FileNotFoundError when a level has none: a module laid out otherwise must not look like one that passes.
    """
    parsed: dict[str, dict[str, Any]] = {}
    found: list[Fixture] = []
    for level in LEVELS:
        root = module_dir / "test" / "testdata" / level
        folders = sorted(root.glob("v1.*"), key=_minor)
        if not folders:
            raise FileNotFoundError(f"{root} holds no folder of a version")
        found += [
            Fixture(level, _minor(folder), direction, path, _parse(path, parsed))
            for folder in folders
            for direction in DIRECTIONS
            for path in sorted((folder / direction).glob("*.yaml"))
        ]
    return found


def review(fixture: Fixture) -> dict[str, Any]:
    """The input of the rules for the creation of ``fixture``'s pod, at its level and version."""
    namespace = "ma-finance-expense-helper"
    return {
        "request": {
            "uid": fixture.id,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "name": fixture.manifest["metadata"]["name"],
            "namespace": namespace,
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": []},
            "object": fixture.manifest,
        },
        "context": {
            "namespace": {"name": namespace},
            "settings": {"podSecurity": {"level": fixture.level, "version": fixture.version}},
        },
    }


def _minor(folder: Path) -> int:
    return int(folder.name.removeprefix("v1."))


def _parse(path: Path, parsed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The manifest in ``path``; most versions repeat the one before, and each text is parsed once."""
    text = path.read_text()
    if text not in parsed:
        parsed[text] = yaml.safe_load(text)
    return parsed[text]
