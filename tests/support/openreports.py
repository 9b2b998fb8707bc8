"""The CRD of openreports.io as its project publishes it, from the Go module github.com/openreports/reports-api."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.kubectl import Kubectl

_MODULE = "github.com/openreports/reports-api@v0.2.1"
_SUM = "h1:g9KS3yle9Y1elmww4TK9EkD1rl6inIaiIJPX6e+u680="
_FILE = Path("config") / "crd" / "openreports.io_reports.yaml"


def report_crd() -> Path:
    """The file in the module cache. AssertionError when the module isn't the one these tests were written for."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "go.mod").write_text("module openreports\n")
        command = ["go", "mod", "download", "-json", _MODULE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    module = json.loads(done.stdout)
    assert module["Sum"] == _SUM
    return Path(module["Dir"]) / _FILE


@contextmanager
def served(kubectl: Kubectl) -> Iterator[None]:
    """Reports are served inside, and gone with all of them afterwards."""
    path = str(report_crd())
    kubectl("apply", "--server-side", "-f", path)
    kubectl("wait", "--for=condition=Established", "-f", path, "--timeout=30s")
    try:
        yield
    finally:
        kubectl("delete", "-f", path, "--timeout=60s")
