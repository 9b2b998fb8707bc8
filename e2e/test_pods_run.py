"""Containers run on the nodes, and a user sees into them as on any cluster."""

import subprocess
import urllib.request

from hack.kubectl import kubectl_command
from hack.lab.context import Cluster
from tests.support.pods import PORT, Pods


def test_a_pod_is_scheduled_and_its_log_is_read(pods: Pods) -> None:
    pods.serve("web")
    assert pods.get("web")["spec"]["nodeName"]
    assert f"Started HTTP server on port {PORT}" in pods.kubectl("logs", "-n", pods.namespace, "web")


def test_a_command_runs_in_the_pod_and_hands_back_its_status(pods: Pods) -> None:
    pods.serve("web")
    assert "svc.cluster.local" in pods.execute("web", "/agnhost", "dns-suffix")
    assert pods.reaches("web", "127.0.0.1")
    assert not pods.reaches("web", "127.0.0.1", PORT + 1)


def test_a_port_of_the_pod_is_forwarded(pods: Pods, cluster: Cluster) -> None:
    pods.serve("web")
    command = [*kubectl_command(cluster), "port-forward", "-n", pods.namespace, "pod/web", f":{PORT}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            address = forward.stdout.readline().split()[2]  # "Forwarding from 127.0.0.1:40123 -> 8080"
            with urllib.request.urlopen(f"http://{address}/hostname", timeout=10) as answer:
                assert answer.read() == b"web"
        finally:
            forward.terminate()
