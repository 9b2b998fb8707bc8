"""Apps on real nodes that write what a test has them write, and what became of it."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hack.lab.components import FORWARDER

from tests.support.apps import Apps
from tests.support.eventually import eventually
from tests.support.logsink import LogSink

TALKER = Path(__file__).with_name("talker.py").read_text()
RUN = "import os; exec(os.environ['CODE'])"
"""A word of a command is short, and a variable less so."""
AMPLE = {"cpu": "200m", "memory": "128Mi"}


@dataclass(frozen=True)
class Talkers:
    """Apps that write what a test has them write."""

    apps: Apps
    sink: LogSink

    def start(self, *names: str, source: str = "stdout", code: str = TALKER) -> None:
        """Apps that run ``code``, by name; returns when they are ready."""
        to = ["/logs/app.log"] if source == "file" else []
        run = {"command": ["python3", "-c", RUN, *to], "env": [{"name": "CODE", "value": code}]}
        runtime = {**run, "port": 8080, "resources": AMPLE}
        for name in names:
            self.apps.apply(name, runtime=runtime, logging={"source": source})
        self.apps.wait(*names, seconds=180)

    def ask(self, name: str, path: str, **query: Any) -> dict[str, Any]:
        """What a talker answers."""
        url = f"http://127.0.0.1:8080{path}?{urlencode(query)}"
        code = f"import urllib.request as u; print(u.urlopen({url!r}).read().decode())"
        found: dict[str, Any] = json.loads(self.apps.python(name, code))
        return found

    def finished(self, name: str, seconds: float) -> int:
        """How many lines it wrote, once it has written the last."""
        eventually(lambda: self.ask(name, "/stats")["busy"], wanted=False, timeout=seconds)
        return int(self.ask(name, "/stats")["written"])

    def arrived(self, name: str) -> int:
        return int(self.sink.told(name)["lines"])

    def kill_forwarder(self, name: str) -> None:
        """SIGKILL to the Collector of its pod."""
        uid = self.apps.pod(name)["metadata"]["uid"]
        (process,) = [p for p in Path("/proc").glob("[0-9]*") if _is_forwarder(p, uid)]
        os.kill(int(process.name), signal.SIGKILL)

    def dropped(self, name: str) -> int:
        app = json.loads(self.apps.kubectl("get", "mapp", name, "-n", self.apps.tenant, "-o", "json"))
        return int((app["status"].get("logging") or {}).get("dropped", 0))


def _is_forwarder(process: Path, uid: str) -> bool:
    try:
        called = (process / "cmdline").read_bytes().startswith(f"/{FORWARDER.name}\0".encode())
        return called and f"POD_UID={uid}".encode() in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended meanwhile
