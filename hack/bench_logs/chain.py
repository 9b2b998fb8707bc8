"""From an app to a sink, as in a cluster: launcher, forwarder, gateway, and between them a Collector that does nothing.

That one is the yardstick: it takes the same records at the same time, so that its CPU is what any hop costs.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hack.bench_logs.launcher import cpu_of, peak_of
from hack.bench_logs.sink import MARK
from hack.kubectl import Kubectl
from hack.lab.build import LabError, binary, ensure_built
from hack.lab.components import FORWARDER, GATEWAY, LAUNCHER, Component
from hack.lab.context import Cluster
from hack.lab.controlplane import free_ports
from hack.loggateway import TARGET
from microapp_operator.desired.forwarding import build_sidecar_config
from microapp_operator.desired.forwarding.sinks import build_otlp, build_sinks

_MEMORY: Final = {FORWARDER: 96 * 2**20, GATEWAY: 2**30}
"""Bytes they have in their pods: by the tiers that ship, and by the chart. Go is told of four fifths (GOMEMLIMIT)."""
_WARM_UP: Final = 3.0
_APP: Final = f"""
import json, os, sys, time
rate, seconds = int(sys.argv[1]), float(sys.argv[2])
begin, written = time.perf_counter(), 0
while written < rate * seconds:
    due = min(int((time.perf_counter() - begin) * rate) + 1, int(rate * seconds))
    while written < due:
        record = {{"message": f"{MARK}{{time.time_ns()}}", "level": "info", "action": "read", "outcome": "success"}}
        os.write(1, json.dumps(record).encode() + b"\\n")
        written += 1
    time.sleep(0.001)
"""


@dataclass(frozen=True)
class Hop:
    """One process on the way, at one rate. cpu: of a core, in percent. each_us: per record. memory: at most, in MiB."""

    cpu: float
    each_us: float
    memory: float


@dataclass(frozen=True)
class ChainFigures:
    """At one rate; delays from the app's write to the sink, in milliseconds.

    arrived: lines that did at least once. again: how often one came that had come before.
    """

    rate: int
    written: int
    arrived: int
    again: int
    p50: float
    p99: float
    hops: dict[str, Hop]

    @property
    def lost(self) -> int:
        """Lines that never came."""
        return self.written - self.arrived


class Chain:
    """Everything but the app, running. The gateway takes this machine's connections for those of one pod of an app."""

    def __init__(self, folder: Path, cluster: Cluster, kubectl: Kubectl) -> None:
        ensure_built(LAUNCHER, FORWARDER, GATEWAY)
        self._folder, self._cluster = folder, cluster
        self._uid = _pod(kubectl)
        self._first, self._idle, self._gateway, *self._more = free_ports(10)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def running(self) -> Iterator["Chain"]:
        """All of it, answering."""
        with ExitStack() as stack:
            sink = subprocess.Popen([sys.executable, "-m", "hack.bench_logs.sink"], stdout=subprocess.PIPE)
            stack.callback(sink.kill)
            assert sink.stdout is not None
            self._sink = f"http://127.0.0.1:{int(sink.stdout.readline())}"
            self._start(stack, "gateway", GATEWAY, [TARGET, self._file("sinks", self._sinks()), *self._here()])
            self._start(stack, "bare", FORWARDER, [self._file("bare", self._bare())])
            config = build_sidecar_config(f"http://127.0.0.1:{self._idle}", port=self._first)
            config["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{self._more[0]}"
            self._start(stack, "forwarder", FORWARDER, [self._file("forwarder", config)])
            self._wait()
            yield self

    def measure(self, rate: int, seconds: float) -> ChainFigures:
        """An app that writes ``rate`` lines a second for so long, behind its launcher."""
        spool = self._folder / f"spool-{rate}"
        spool.mkdir()
        url = f"http://127.0.0.1:{self._first}/v1/logs"
        line = [str(binary(LAUNCHER)), "run", "--forward", url, "--spool", str(spool), "--drain", "120", "--"]
        line += [sys.executable, "-c", _APP, str(rate), str(seconds + 2 * _WARM_UP)]
        self._ask()
        with subprocess.Popen(line, stdout=subprocess.DEVNULL) as launcher:
            processes = {"launcher": launcher, **self._running}
            time.sleep(_WARM_UP)
            early, begin = self._ask(), time.monotonic()
            before = {name: cpu_of(each.pid) for name, each in processes.items()}
            time.sleep(seconds)
            passed = time.monotonic() - begin
            used = {name: cpu_of(each.pid) - before[name] for name, each in processes.items()}
            peaks = {name: peak_of(each.pid) for name, each in processes.items()}
            told = self._ask()
            if launcher.wait():
                raise LabError(f"the app or its launcher failed: status {launcher.returncode}")
        written = int(rate * (seconds + 2 * _WARM_UP))
        arrived, again = self._rest(written, [early, told])
        hops = {
            name: Hop(used[name] / passed * 100, used[name] / max(told["count"], 1) * 1e6, peaks[name])
            for name in processes
        }
        return ChainFigures(rate, written, arrived, again, told["p50"], told["p99"], hops)

    def _rest(self, written: int, told: list[dict[str, Any]]) -> tuple[int, int]:
        """(lines that arrived, how often one came again) once all have, or no more seem to come."""
        deadline = time.monotonic() + 60
        while sum(each["count"] for each in told) < written and time.monotonic() < deadline:
            time.sleep(0.5)
            told.append(self._ask())
        return sum(each["count"] for each in told), sum(each["again"] for each in told)

    def _start(self, stack: ExitStack, role: str, component: Component, files: list[Path]) -> None:
        told = {"POD_UID": self._uid, "POD_NAMESPACE": "default", "REDACTION_KEY": "k" * 64}
        told |= {"KUBECONFIG": str(self._cluster.kubeconfig), "GOMEMLIMIT": str(int(0.8 * _MEMORY[component]))}
        command = [str(binary(component)), *(f"--config={file}" for file in files)]
        with (self._folder / f"{role}.log").open("wb") as log:
            self._running[role] = subprocess.Popen(command, env={**os.environ, **told}, stdout=log, stderr=log)
        stack.callback(self._running[role].kill)

    def _wait(self) -> None:
        """Until a record gets through: before, the gateway hasn't heard of the pod."""
        record = {"body": {"stringValue": f'{{"message": "{MARK}0"}}'}}
        body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
        url, deadline = f"http://127.0.0.1:{self._first}/v1/logs", time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(
                    urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10
                )
            except OSError as error:
                if time.monotonic() > deadline:
                    tails = "\n".join(path.read_text()[-1500:] for path in self._folder.glob("*.log"))
                    raise LabError(f"nothing gets through to the sink: {error}\n{tails}") from error
                time.sleep(0.2)
            else:
                break
        while not self._ask()["count"]:
            time.sleep(0.1)

    def _ask(self) -> dict[str, Any]:
        with urllib.request.urlopen(self._sink, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _file(self, name: str, content: dict[str, Any]) -> Path:
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(content))
        return path

    def _bare(self) -> dict[str, Any]:
        """A hop that passes on what it gets."""
        exporter = {"sending_queue": {"enabled": False}, "retry_on_failure": {"enabled": False}}
        pipeline = {"receivers": ["otlp"], "exporters": ["otlp_http"]}
        return {
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self._idle}"}}}},
            "exporters": {"otlp_http": {"endpoint": f"http://127.0.0.1:{self._gateway}", **exporter}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
                "pipelines": {"logs": pipeline, "metrics": pipeline},
            },
        }

    def _sinks(self) -> dict[str, Any]:
        sinks = build_sinks(build_otlp(self._sink), queue_bytes=2**28)
        sinks["exporters"]["otlp_http"] |= {"encoding": "json", "compression": "none"}  # what the sink can read
        return sinks

    def _here(self) -> list[Path]:
        """What a gateway on this machine needs: ports, a folder, and the user's way to the API server."""
        platform, telemetry, forwarding, health, *_ = self._more[1:]
        pods = {"auth_type": "kubeConfig", "context": self._cluster.context}
        shipped = yaml.safe_load(TARGET.read_text())["service"]["telemetry"]["metrics"]["readers"]
        page = shipped[0]["pull"]["exporter"]["prometheus"] | {"host": "127.0.0.1", "port": telemetry}
        queue = str(self._folder / "queue")
        here = {
            "receivers": {
                "otlp/apps": {"protocols": {"http": {"endpoint": f"127.0.0.1:{self._gateway}"}}},
                "otlp/platform": {"protocols": {"http": {"endpoint": f"127.0.0.1:{platform}"}}},
            },
            "processors": {"k8s_attributes/apps": pods, "k8s_attributes/platform": pods},
            "exporters": {"prometheus": {"endpoint": f"127.0.0.1:{forwarding}"}},
            "extensions": {
                "health_check": {"endpoint": f"127.0.0.1:{health}"},
                "file_storage/queue": {"directory": queue, "compaction": {"directory": queue}},
            },
            "service": {
                "telemetry": {"metrics": {"readers": [{"pull": {"exporter": {"prometheus": page}}}]}},
            },
        }
        return [self._file("here", here)]


def _pod(kubectl: Kubectl) -> str:
    """UID of a pod of an app that has this machine's loopback as its address."""
    labels = {
        "app": "bench",
        "tenant": "bench",
        "tier": "low",
        "classification": "internal",
        "log-retention-days": "30",
    }
    space = {"name": "bench", "labels": {f"microapps.dev/{key}": text for key, text in labels.items()}}
    kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": space}))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bench", "namespace": "bench", "labels": {"microapps.dev/app": "bench"}},
        "spec": {"containers": [{"name": "app", "image": "example.com/app:1"}], "automountServiceAccountToken": False},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(pod))
    kubectl("wait", "-n", "bench", "--for=condition=Ready", "pod/bench", "--timeout=60s")
    status = json.dumps({"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}})
    kubectl("patch", "pod", "bench", "-n", "bench", "--subresource=status", "--type=merge", "-p", status)
    return kubectl("get", "pod", "bench", "-n", "bench", "-o", "jsonpath={.metadata.uid}")
