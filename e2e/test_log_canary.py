"""A record of the gateway's own is read back from a store on a node, and missed from one that keeps nothing."""

import json
from collections.abc import Iterator

import pytest
from hack.image.static import push_static
from hack.kubectl import Kubectl
from hack.lab.components import VICTORIA_LOGS
from hack.lab.nodelab import NodeLab
from hack.lognode import logging_values, volume_for
from hack.product import Product, build_values
from tests.support.apps import tenant_of
from tests.support.eventually import eventually
from tests.support.logstore import NAMESPACE, PORT, LogStore, log_store
from tests.support.talkers import AMPLE, RUN, TALKER

QUERY = '/select/logsql/query?limit=1&query="log.record.uid":{uid}'


@pytest.fixture(scope="module")
def store(lab: NodeLab, kubectl: Kubectl, image: str) -> Iterator[LogStore]:
    with log_store(kubectl, push_static(lab, VICTORIA_LOGS), image) as store:
        yield store


@pytest.fixture(scope="module")
def asked(lab: NodeLab, kubectl: Kubectl, platform: Product, image: str, store: LogStore) -> Iterator[Product]:
    """The release with a gateway that sends to the store and asks it; as it was installed afterwards."""
    there, plain = {"namespace": NAMESPACE, "ports": [PORT]}, build_values(image)
    values = {**plain, **logging_values(lab, store.url)}
    values["logging"]["canary"] = {"intervalSeconds": 10, "deadlineSeconds": 30}
    values["logging"]["sinks"] = {
        "otlp": {
            "endpoint": f"{store.url}/insert/opentelemetry",
            "egress": there,
            "readBack": {"url": f"{store.url}{QUERY}", "egress": there},
        }
    }
    with volume_for(lab, kubectl, platform.namespace):
        platform.upgrade(values, reset=True)
        yield platform
        platform.upgrade(plain, reset=True)


@pytest.mark.usefixtures("asked")
def test_log_forwarding_tells_whether_a_record_came_back(kubectl: Kubectl, image: str, store: LogStore) -> None:
    with tenant_of(kubectl, image) as apps:
        run = {"command": ["python3", "-c", RUN], "env": [{"name": "CODE", "value": TALKER}], "port": 8080}
        apps.apply("heard", runtime={**run, "resources": AMPLE})
        apps.wait("heard", seconds=180)

        def said() -> tuple[str, str, str]:
            return apps.condition("heard", "LogForwarding")

        eventually(lambda: "Sink otlp has given back one of" in said()[2], timeout=120)
        assert said()[:2] == ("True", "Forwarding")
        status = json.loads(kubectl("get", "mapp", "heard", "-n", apps.tenant, "-o", "json"))["status"]
        (condition,) = [each for each in status["conditions"] if each["type"] == "LogForwarding"]
        assert status["logging"]["lastReadBackTime"] in condition["message"]
        (canary, *_) = store.records("action:log.canary")
        assert canary["app_id"] == "microapp-log-gateway"

        store.forget()
        eventually(lambda: said()[:2], ("False", "CanaryNotReadBack"), timeout=180)
        assert "sink otlp has given back no record" in said()[2]
        assert "200 OK, without the record" in said()[2]
        assert apps.condition("heard", "Ready")[0] == "True", "an app that works isn't taken from its users"

        store.keep()
        eventually(lambda: said()[:2], ("True", "Forwarding"), timeout=120)
