"""What an app's namespace holds for its records to leave, as the API server took it; and what its status says."""

import json
from typing import Any

import pytest
from hack.kubectl import Kubectl
from hack.process import OperatorProcess
from hack.samples import IMAGE

from tests.component.conftest import Tenant
from tests.support.eventually import eventually
from tests.support.samples import LOGGING

pytestmark = pytest.mark.usefixtures("operator")
RUNTIME = {"image": IMAGE, "command": ["python3", "main.py"]}


def _template(tenant: Tenant, home: str) -> dict[str, Any]:
    found: dict[str, Any] = tenant.get("deployment", "app", home)["spec"]["template"]
    return found


def test_a_pod_gets_its_forwarder_and_exactly_one_way_out(tenant: Tenant, address: str) -> None:
    home = tenant.apply(runtime=RUNTIME)
    tenant.wait("app", "Ready")
    spec = _template(tenant, home)["spec"]
    (forwarder,) = [c for c in spec["initContainers"] if c.get("restartPolicy") == "Always"]
    assert forwarder["image"] == LOGGING.forwarder_image
    assert spec["containers"][0]["command"][-3:] == ["--", "python3", "main.py"]
    told = json.loads(tenant.get("configmap", "log-forwarder", home)["data"]["config.json"])
    assert told["exporters"]["otlp_http"]["endpoint"] == f"http://{address}"
    policies = json.loads(tenant.kubectl("get", "networkpolicy", "-n", home, "-o", "json"))["items"]
    (way,) = [p["spec"]["egress"] for p in policies if p["spec"].get("egress")]
    (rule,) = way
    (peer,) = rule["to"]
    assert rule["ports"] == [{"port": 4318, "protocol": "TCP"}]
    assert peer["podSelector"]["matchLabels"] == LOGGING.pod_labels
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": LOGGING.namespace}


def test_a_namespace_says_how_long_its_records_are_kept_and_follows_its_tier(tenant: Tenant, kubectl: Kubectl) -> None:
    home = tenant.apply(runtime=RUNTIME)
    tenant.wait("app", "Ready")
    label = "microapps.dev/log-retention-days"
    assert tenant.get("namespace", home)["metadata"]["labels"][label] == "30"
    tenant.patch("app", {"riskTier": "medium"})
    eventually(lambda: tenant.get("namespace", home)["metadata"]["labels"][label], "90")
    kubectl("label", "namespace", home, f"{label}=1", "--overwrite")
    eventually(lambda: tenant.get("namespace", home)["metadata"]["labels"][label], "90")


def test_what_a_person_has_to_do_is_said_and_the_app_runs_all_the_same(tenant: Tenant) -> None:
    home = tenant.apply(runtime={"image": IMAGE})
    tenant.wait("app", "Ready")
    status, reason, message = tenant.condition("app", "LogForwarding")
    assert (status, reason) == ("False", "EntrypointUnknown")
    assert "spec.runtime.command" in message
    assert not any(c["name"] == "log-forwarder" for c in _template(tenant, home)["spec"].get("initContainers", ()))
    tenant.patch("app", {"logging": {"source": "otlp"}})
    eventually(lambda: tenant.reasons("app", "LogForwarding")[1] != "EntrypointUnknown")
    environment = {e["name"] for e in _template(tenant, home)["spec"]["containers"][0]["env"]}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in environment


def test_a_gateway_that_does_not_answer_shows_as_unknown_not_as_a_fault_of_the_app(tenant: Tenant) -> None:
    tenant.apply(runtime=RUNTIME)
    tenant.wait("app", "Ready")
    eventually(lambda: tenant.reasons("app", "LogForwarding"), ("Unknown", "LogGatewayUnreachable"), timeout=90)
    assert tenant.condition("app", "Ready")[0] == "True"


def test_a_gateway_made_anew_is_found_and_apps_follow(
    tenant: Tenant, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    home = tenant.apply(runtime=RUNTIME)
    tenant.wait("app", "Ready")
    space = LOGGING.namespace
    service = json.loads(kubectl("get", "service", LOGGING.service, "-n", space, "-o", "json"))
    kubectl("delete", "service", LOGGING.service, "-n", space)
    fresh = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": LOGGING.service}}
    fresh["spec"] = {"ports": service["spec"]["ports"]}
    kubectl("create", "-n", space, "-f", "-", stdin=json.dumps(fresh))
    place = kubectl("get", "service", LOGGING.service, "-n", space, "-o", "jsonpath={.spec.clusterIP}")
    assert place != service["spec"]["clusterIP"]

    def told() -> str:
        text = tenant.get("configmap", "log-forwarder", home)["data"]["config.json"]
        return str(json.loads(text)["exporters"]["otlp_http"]["endpoint"])

    eventually(told, f"http://{place}:{LOGGING.port}", timeout=90)
    assert operator.ready()
