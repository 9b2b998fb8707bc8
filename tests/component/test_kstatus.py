"""Argo CD and kstatus (Flux) agree on every status we ship as a fixture: the table below is the promise."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "hack" / "lab" / "go" / "kstatus"
ARGOCD = REPOSITORY / "argocd" / "microapps.dev" / "MicroApp"

TABLE = {
    # fixture: (Argo CD, kstatus)
    "no_status": ("Progressing", "InProgress"),  # as the CRD defaults it: observedGeneration -1
    "generation_mismatch": ("Progressing", "InProgress"),
    "healthy": ("Healthy", "Current"),
    "progressing": ("Progressing", "InProgress"),
    "degraded": ("Degraded", "InProgress"),  # kstatus waits on Ready=False; hence we always set Stalled with it
    "stalled": ("Degraded", "Failed"),
    "suspended_approval": ("Suspended", "InProgress"),  # kstatus has no word for waiting on a person
    "suspended": ("Suspended", "Current"),
    "terminating": ("Progressing", "Terminating"),
}

Judge = Callable[[str], list[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Runs kstatus on YAML documents; returns (name, status, message) for each."""
    if shutil.which("go") is None:
        pytest.skip("kstatus is built with the Go toolchain, which is not on PATH")
    binary = tmp_path_factory.mktemp("kstatus") / "kstatus"
    build = subprocess.run(
        ["go", "build", "-trimpath", "-o", str(binary), "."],
        cwd=MODULE,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr

    def run(documents: str) -> list[tuple[str, str, str]]:
        done = subprocess.run([binary], input=documents, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        words = [line.split(" ", 2) for line in done.stdout.splitlines()]
        return [(name, status, message) for name, status, message in words]

    return run


def test_the_table_covers_every_fixture_and_argo_cd_agrees() -> None:
    tests = yaml.safe_load((ARGOCD / "health_test.yaml").read_text())["tests"]
    argo = {Path(test["inputPath"]).stem: test["healthStatus"]["status"] for test in tests}
    assert argo == {name: health for name, (health, _) in TABLE.items()}
    assert {path.stem for path in (ARGOCD / "testdata").glob("*.yaml")} == set(TABLE)


def test_kstatus_reads_every_fixture_as_the_table_says(judge: Judge) -> None:
    texts = [(ARGOCD / "testdata" / f"{name}.yaml").read_text() for name in TABLE]
    results = judge("\n---\n".join(texts))
    found = dict(zip(TABLE, (status for _, status, _ in results), strict=True))
    assert found == {name: status for name, (_, status) in TABLE.items()}
    assert {name for name, _, _ in results} == {"expenses"}


def test_kstatus_shows_our_words_for_a_stalled_app(judge: Judge) -> None:
    [(_, status, message)] = judge((ARGOCD / "testdata" / "stalled.yaml").read_text())
    assert status == "Failed"
    assert message.startswith("spec.runtime.replicas: 9 is more than")


def test_without_the_default_kstatus_would_take_a_new_app_for_current(judge: Judge) -> None:
    """Why the CRD must default status to observedGeneration -1."""
    app = yaml.safe_load((ARGOCD / "testdata" / "no_status.yaml").read_text())
    assert app.pop("status") == {"observedGeneration": -1}
    [(_, status, _)] = judge(yaml.safe_dump(app))
    assert status == "Current"


def test_what_is_no_kubernetes_object_is_an_error(judge: Judge) -> None:
    with pytest.raises(AssertionError, match="kstatus: "):
        judge("just: words\n")
