"""All Pod Security fixtures of k8s.io/pod-security-admission, both ways: we refuse the same, no more."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from hack.lab.components import GO

from microapp_operator.adapters.rego import RegoEngine

LEVELS = ("baseline", "restricted")
MINORS = range(36)


@pytest.fixture(scope="module")
def testdata() -> Path:
    """The fixtures, in the module the lab's Kubernetes is built with."""
    module = "k8s.io/pod-security-admission"
    done = subprocess.run(
        ["go", "mod", "download", "-json", module], cwd=GO / "kubernetes", capture_output=True, text=True, check=True
    )
    return Path(json.loads(done.stdout)["Dir"]) / "test" / "testdata"


def refused(engine: RegoEngine, level: str, minor: int, manifest: Path) -> bool:
    pod = yaml.load(manifest.read_text(), Loader=yaml.CSafeLoader)
    request = {"operation": "CREATE", "kind": {"kind": "Pod"}, "object": pod}
    document = {"request": request, "context": {"settings": {"podSecurity": {"level": level, "version": minor}}}}
    return any(v.rule.id.startswith("MA-PSS-") for v in engine.evaluate("Pod", document))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("minor", MINORS)
def test_fixtures(engine: RegoEngine, testdata: Path, level: str, minor: int) -> None:
    folder = testdata / level / f"v1.{minor}"
    passing, failing = sorted((folder / "pass").glob("*.yaml")), sorted((folder / "fail").glob("*.yaml"))
    assert passing
    assert failing
    assert [f.name for f in passing if refused(engine, level, minor, f)] == []
    assert [f.name for f in failing if not refused(engine, level, minor, f)] == []
