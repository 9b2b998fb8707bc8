"""MicroApps on real nodes: applied as a tenant would, asked from inside what they can reach."""

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hack.kubectl import Kubectl
from hack.samples import app_manifest

from microapp_operator.constants import LABEL_APP
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.probe import OPEN_PORT
from microapp_operator.probe.wire import Target, write_targets

LISTEN = ["python3", "-m", "microapp_operator.probe", "listen"]
_LOOK = (
    "import json, sys; from microapp_operator.probe.check import try_all; "
    "from microapp_operator.probe.wire import read_targets; "
    "print(json.dumps(sorted(t.name for t in try_all(read_targets(sys.argv[1])))))"
)


@dataclass(frozen=True)
class Apps:
    """Apps of one tenant, whose image (of the operator) answers on the probe's ports and has a Python."""

    kubectl: Kubectl
    tenant: str
    image: str

    def apply(self, name: str, **spec: Any) -> None:
        """Apply a MicroApp of tier low that listens, unless ``spec`` says otherwise."""
        small = {"cpu": "50m", "memory": "64Mi"}
        runtime = {"image": self.image, "command": LISTEN, "port": OPEN_PORT, "resources": small}
        runtime |= spec.pop("runtime", {})
        manifest = app_manifest(name, self.tenant, runtime=runtime, **spec)
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def wait(self, *names: str, condition: str = "Ready", value: str = "True", seconds: int = 120) -> None:
        """Wait for a condition of each of the MicroApps."""
        apps = [f"mapp/{name}" for name in names]
        self.kubectl("wait", f"--for=condition={condition}={value}", *apps, "-n", self.tenant, f"--timeout={seconds}s")

    def home(self, name: str) -> str:
        """The app's own namespace."""
        return namespace_name(self.tenant, name)

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """(status, reason, message) of one condition; empty while there is none."""
        app = json.loads(self.kubectl("get", "mapp", name, "-n", self.tenant, "-o", "json"))
        found = [c for c in app.get("status", {}).get("conditions", ()) if c["type"] == kind]
        return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")

    def pods(self, name: str) -> list[dict[str, Any]]:
        """The app's pods that aren't on their way out."""
        label = f"{LABEL_APP}={name}"
        items = json.loads(self.kubectl("get", "pods", "-n", self.home(name), "-l", label, "-o", "json"))["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]

    def pod(self, name: str) -> dict[str, Any]:
        """Its one pod."""
        (found,) = self.pods(name)
        return found

    def service(self, name: str) -> str:
        """ClusterIP of its Service."""
        return self.kubectl("get", "service", name, "-n", self.home(name), "-o", "jsonpath={.spec.clusterIP}")

    def python(self, name: str, code: str, *arguments: str) -> str:
        """What ``code`` printed inside the app's container; KubectlError when it fails."""
        pod = self.pod(name)["metadata"]["name"]
        command = ("python3", "-c", code, *arguments)
        return self.kubectl("exec", pod, "-c", "app", "-n", self.home(name), "--", *command)

    def reached(self, name: str, targets: Iterable[Target]) -> set[str]:
        """Names of those targets that answer the app."""
        return set(json.loads(self.python(name, _LOOK, write_targets(tuple(targets)))))


@contextmanager
def tenant_of(kubectl: Kubectl, image: str, name: str = "") -> Iterator[Apps]:
    """A tenant's namespace, and nothing left of it and its apps afterwards."""
    name = name or f"t{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        yield Apps(kubectl, name, image)
    finally:
        kubectl("delete", "mapp", "--all", "-n", name, "--timeout=120s")
        kubectl("delete", "namespace", name, "--wait=false")
