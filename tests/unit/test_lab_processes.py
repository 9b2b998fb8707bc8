"""A lab's daemons: what ending one leaves behind."""

import sys
from pathlib import Path

from hack.lab.processes import start, stop_all
from tests.support.host import observe_processes

_STARTER = "import subprocess, sys, time; subprocess.run(sys.argv[1:]); time.sleep(0.5)"


def test_a_daemon_has_ended_when_what_started_it_in_its_namespaces_has_ended_too(tmp_path: Path) -> None:
    """On a busy machine the starter learns late that its child is gone."""
    program = tmp_path / "sleep"
    program.symlink_to("/bin/sleep")
    start("waits", [str(program), "60"], tmp_path, enter=(sys.executable, "-c", _STARTER))
    assert str(program) in " ".join(observe_processes().values())
    stop_all(tmp_path)
    assert str(program) not in " ".join(observe_processes().values())
