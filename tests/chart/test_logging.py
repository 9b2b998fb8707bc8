"""What the chart renders for logs: a gateway that alone knows the SIEMs, and the platform's pods behind a launcher."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.helm import CHART, NAMESPACE, RELEASE, HelmError, helm, objects, render
from hack.image import recipe
from hack.install import ROOT
from hack.lab.build import binary, ensure_built
from hack.lab.components import GATEWAY, LAUNCHER
from hack.loggateway import TARGET

from microapp_operator.canary import CanarySettings
from microapp_operator.desired.forwarding import gateway
from microapp_operator.desired.forwarding.sinks import (
    Sink,
    build_datadog,
    build_elasticsearch,
    build_otlp,
    build_sinks,
    build_splunk,
)

NAME = "microapp-operator-log-gateway"
FULL: dict[str, Any] = yaml.safe_load((ROOT / "tests" / "golden" / "chart" / "logging" / "values.yaml").read_text())
GIVEN: dict[str, Any] = FULL["logging"]["sinks"]
SINKS: dict[str, Sink] = {
    "otlp": build_otlp(
        "https://otlp.example.com", {"X-Scope-OrgID": "plat$$form", "Authorization": "${env:OTLP_HEADER_0}"}
    ),
    "datadog": build_datadog("datadoghq.eu"),
    "splunkHec": build_splunk("https://hec.example.com:8088/services/collector", "microapps"),
    "elasticsearch": build_elasticsearch("http://elastic.example.com", "logs-microapps-default"),
}
"""By value of the chart, what the gateway is to be told for the one given in the golden case."""


class Logging:
    """One rendering of the golden case. more: values of ``logging`` over those it has."""

    def __init__(self, folder: Path, *flags: str, **more: Any) -> None:
        logging = {**FULL["logging"], **more}
        self.values = folder / "values.yaml"
        self.values.write_text(yaml.safe_dump({**FULL, "logging": logging}))
        self.manifests = objects(render(f"--values={self.values}", *flags))

    def of(self, kind: str, name: str = NAME) -> dict[str, Any]:
        (found,) = (m for m in self.manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))
        return found

    def pod(self, kind: str = "StatefulSet", name: str = NAME) -> dict[str, Any]:
        spec: dict[str, Any] = self.of(kind, name)["spec"]["template"]["spec"]
        return spec

    def files(self) -> dict[str, str]:
        data: dict[str, str] = self.of("ConfigMap")["data"]
        return data

    def variables(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.pod()["containers"][0]["env"]}


def only(*sinks: str) -> dict[str, Any]:
    """Of the sinks in the golden case these."""
    return {name: GIVEN[name] for name in sinks}


@pytest.fixture
def logging(tmp_path: Path) -> Logging:
    return Logging(tmp_path)


def test_without_it_nothing_of_it_is_there() -> None:
    parts = "log-gateway|logs-spool|microapps.dev/launcher|logging.yaml"
    assert not re.search(parts, render("--set=metrics.prometheusRule.enabled=true"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": {"launcher": "", "forwarder": "", "gateway": ""}}, "logging.images.forwarder is missing"),
        ({"redactionKey": {"existingSecret": "", "key": "key"}}, "logging.redactionKey.existingSecret is missing"),
        ({"sinks": {}}, "logging.sinks is empty: say where records go"),
        ({"canary": {"intervalSeconds": 10, "deadlineSeconds": 60, "resources": {}}}, "more than five times"),
        (
            {"sinks": {"otlp": {**GIVEN["otlp"], "readBack": {"url": "ftp://a"}}}},
            "at '/logging/sinks/otlp/readBack/url'",
        ),
        ({"sinks": {"syslog": {}}}, "at '/logging/sinks': additional properties 'syslog' not allowed"),
        ({"sinks": {"datadog": {"site": "datadoghq.eu"}}}, "at '/logging/sinks/datadog': missing property 'apiKey'"),
        ({"sinks": {"otlp": {"endpoint": "otlp.example.com:4317"}}}, "at '/logging/sinks/otlp/endpoint'"),
        ({"gateway": {"persistence": {"enabled": True, "size": "10G"}}}, "at '/logging/gateway/persistence/size'"),
        ({"gateway": {"resources": {"limits": {"memory": "1.5Gi"}}}}, "at '/logging/gateway/resources/limits/memory'"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_installed(
    wrong: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(HelmError) as error:
        Logging(tmp_path, **wrong)
    assert said in str(error.value)


@pytest.mark.parametrize("image", ["launcher", "forwarder"])
def test_an_image_that_the_apps_pods_may_not_run_is_refused(image: str, tmp_path: Path) -> None:
    images = {**FULL["logging"]["images"], image: f"elsewhere.example.com/a@sha256:{'f' * 64}"}
    with pytest.raises(HelmError, match=f"logging.images.{image} .* is in none of settings.registries"):
        Logging(tmp_path, images=images)


@pytest.mark.parametrize("sinks", [*([name] for name in SINKS), list(SINKS)], ids=[*SINKS, "all"])
def test_each_sink_is_told_as_the_gateway_was_tried_with(sinks: list[str], tmp_path: Path) -> None:
    room = 20 * 2**30 * 40 // 100 // len(sinks)
    told = yaml.safe_load(Logging(tmp_path, sinks=only(*sinks)).files()["sinks.yaml"])
    assert told == build_sinks(*(SINKS[name] for name in sinks), queue_bytes=room)


def test_datadog_can_be_elsewhere(tmp_path: Path) -> None:
    where = {"endpoint": "http://192.0.2.40:8080"}
    told = yaml.safe_load(Logging(tmp_path, sinks={"datadog": {**GIVEN["datadog"], **where}}).files()["sinks.yaml"])
    assert told["exporters"]["otlp_http/datadog"].items() >= where.items()


def test_the_gateway_is_told_what_is_generated_and_both_files(logging: Logging) -> None:
    files = logging.files()
    assert yaml.safe_load(files["gateway.yaml"]) == yaml.safe_load(TARGET.read_text())
    container, _ = logging.pod()["containers"]
    place = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "config")
    (items,) = (v["configMap"]["items"] for v in logging.pod()["volumes"] if v["name"] == "config")
    assert container["args"] == [f"--config={place}/{item['path']}" for item in items]
    assert {item["key"] for item in items} <= set(files)
    assert "command" not in container


def test_credentials_are_in_secrets_alone_and_every_variable_is_given(logging: Logging) -> None:
    given = logging.variables()
    asked = set(re.findall(r"\$\{env:(\w+)\}", "".join(logging.files().values())))
    assert asked == set(given) - {"GOMEMLIMIT", "SSL_CERT_DIR"}
    for name in asked - {"POD_NAMESPACE"}:
        assert set(given[name]["valueFrom"]) == {"secretKeyRef"}
    assert "Secret" not in {m["kind"] for m in logging.manifests if "log-gateway" in m["metadata"]["name"]}


def test_the_canary_takes_what_it_is_told_and_has_no_credential_to_write(logging: Logging) -> None:
    gateway, canary = logging.pod()["containers"]
    told = CanarySettings.model_validate(yaml.safe_load(logging.files()["canary.yaml"]))
    assert {each.sink: each.body for each in told.read_backs} == {
        "otlp": "",
        "elasticsearch": GIVEN["elasticsearch"]["readBack"]["body"],
    }
    given = {each["name"] for each in canary["env"]}
    assert {name for each in told.read_backs for name in each.secret_headers.values()} == given - {"POD_IP"}
    assert not given & {each["name"] for each in gateway["env"]}
    secrets = [each["valueFrom"]["secretKeyRef"] for each in canary["env"] if "secretKeyRef" in each["valueFrom"]]
    assert all(each["optional"] for each in secrets), "or the gateway would wait for what only reads"
    assert "readinessProbe" not in canary
    assert told.ca == FULL["logging"]["gateway"]["ca"]


def test_without_a_sink_that_can_be_asked_there_is_no_canary(tmp_path: Path) -> None:
    logging = Logging(tmp_path, sinks=only("splunkHec"))
    assert [each["name"] for each in logging.pod()["containers"]] == ["gateway"]
    assert "canary" not in yaml.safe_dump_all(m for m in logging.manifests if m["kind"] != "PrometheusRule")


def test_the_real_program_takes_both_files(tmp_path: Path) -> None:
    ensure_built(GATEWAY)
    logging = Logging(tmp_path)
    for name, text in logging.files().items():
        (tmp_path / name).write_text(text)
    files = [f"--config={tmp_path / name}" for name in ("gateway.yaml", "sinks.yaml")]
    environment = {**os.environ, **dict.fromkeys(logging.variables(), "0" * 32), "GOMEMLIMIT": "off"}
    done = subprocess.run(
        [binary(GATEWAY), "validate", *files], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_ports_are_those_it_listens_at(logging: Logging) -> None:
    container, canary = logging.pod()["containers"]
    ports = {p["name"]: p["containerPort"] for each in (container, canary) for p in each["ports"]}
    assert f"--port={ports['canary']}" in canary["args"]
    assert f"--gateway=$(POD_IP):{gateway.PLATFORM_PORT}" in canary["args"]
    assert ports == {
        "canary": ports["canary"],
        "otlp-http": gateway.PORT,
        "platform": gateway.PLATFORM_PORT,
        "telemetry": gateway.TELEMETRY_PORT,
        "forwarding": gateway.FORWARDING_PORT,
        "health": gateway.HEALTH_PORT,
    }
    assert {m["mountPath"] for m in container["volumeMounts"]} >= {gateway.QUEUE_DIRECTORY}
    for name in (NAME, f"{NAME}-pods"):
        assert all(p["port"] == ports[p["targetPort"]] for p in logging.of("Service", name)["spec"]["ports"])
    assert logging.of("Service", f"{NAME}-pods")["spec"]["publishNotReadyAddresses"]
    assert logging.of("StatefulSet")["spec"]["serviceName"] == f"{NAME}-pods"


def test_memory_is_bounded_below_the_limit(logging: Logging) -> None:
    assert int(logging.variables()["GOMEMLIMIT"]["value"]) == 2 * 2**30 * 80 // 100


def test_a_change_of_what_is_read_once_replaces_pods(tmp_path: Path) -> None:
    def notes(kind: str, name: str, **more: Any) -> str:
        template = Logging(tmp_path, **more).of(kind, name)["spec"]["template"]
        return str(template["metadata"]["annotations"]["microapps.dev/logging"])

    other = {"sinks": {"otlp": {"endpoint": "https://elsewhere.example.com"}}}
    images = {**FULL["logging"]["images"], "forwarder": f"registry.example.com/a@sha256:{'f' * 64}"}
    ca = {"gateway": {**FULL["logging"]["gateway"], "ca": "another"}}
    of_gateway, of_operator = ("StatefulSet", NAME), ("Deployment", RELEASE)
    assert len({notes(*of_gateway), notes(*of_gateway, **other), notes(*of_gateway, **ca)}) == 3
    assert notes(*of_operator) == notes(*of_operator, **other)
    assert notes(*of_operator) != notes(*of_operator, images=images)


def test_an_upgrade_changes_nothing_that_kubernetes_lets_nobody_change(logging: Logging) -> None:
    spec = logging.of("StatefulSet")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"]["labels"] == spec["selector"]["matchLabels"]
    assert claim["spec"]["storageClassName"] == "fast"


def test_without_persistence_the_notes_say_what_that_means(tmp_path: Path) -> None:
    logging = Logging(tmp_path, gateway={"persistence": {"enabled": False, "size": "1Gi"}})
    assert "volumeClaimTemplates" not in logging.of("StatefulSet")["spec"]
    assert {"name": "queue", "emptyDir": {"sizeLimit": "1Gi"}} in logging.pod()["volumes"]
    dry = ("install", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--dry-run=client")
    notes = helm(*dry, f"--values={logging.values}").partition("\nNOTES:\n")[2]
    assert "Records that wait for a sink are gone when the log gateway's pod goes" in notes


def test_names_fit_however_long_the_releases_is(tmp_path: Path) -> None:
    logging = Logging(tmp_path, f"--set=fullnameOverride={'long-' * 11}name")
    names = {m["kind"]: len(m["metadata"]["name"]) for m in logging.manifests if "log-gateway" in m["metadata"]["name"]}
    assert names["StatefulSet"] + len("-0123456789") <= 63
    assert names["Service"] <= 63


def test_the_operator_is_told_where_it_is(logging: Logging) -> None:
    (container,) = logging.pod("Deployment", RELEASE)["containers"]
    assert "--logging=/etc/microapp-operator/logging.yaml" in container["args"]
    told = yaml.safe_load(logging.of("ConfigMap", f"{RELEASE}-settings")["data"]["logging.yaml"])
    labels = logging.of("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert told == {
        "namespace": NAMESPACE,
        "service": NAME,
        "podsService": f"{NAME}-pods",
        "podLabels": labels,
        "port": gateway.PORT,
        "forwarderImage": FULL["logging"]["images"]["forwarder"],
        "launcherImage": FULL["logging"]["images"]["launcher"],
    }


def ways(rules: list[dict[str, Any]]) -> list[tuple[list[Any], list[Any]]]:
    return [(each.get("to", each.get("from")), [port["port"] for port in each["ports"]]) for each in rules]


def release(**component: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": RELEASE, "app.kubernetes.io/instance": RELEASE}
    return {"podSelector": {"matchLabels": {**labels, **component.pop("labels", {})}, **component}}


GATEWAYS = release(labels={"app.kubernetes.io/component": "log-gateway"})
OPERATORS = release(labels={"app.kubernetes.io/component": "operator"})
WRITERS = release(
    matchExpressions=[{"key": "app.kubernetes.io/component", "operator": "In", "values": ["operator", "webhook"]}]
)
DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
ANYWHERE = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}},
]


def test_apps_reach_one_port_of_it_and_the_platform_what_it_needs(logging: Logging) -> None:
    policy = logging.of("NetworkPolicy")["spec"]
    assert policy["podSelector"] == GATEWAYS["podSelector"]
    apps = {"namespaceSelector": {"matchExpressions": [{"key": "microapps.dev/app", "operator": "Exists"}]}}
    assert ways(policy["ingress"]) == [
        ([apps], ["otlp-http"]),
        ([WRITERS], ["platform"]),
        ([OPERATORS, {"namespaceSelector": {}}], ["telemetry", "forwarding", "canary"]),
    ]


def test_it_reaches_names_its_sinks_and_where_those_are_asked(logging: Logging) -> None:
    assert ways(logging.of("NetworkPolicy")["spec"]["egress"]) == [
        ([DNS], [53, 53]),
        ([{"ipBlock": {"cidr": "192.0.2.40/32"}}, {"ipBlock": {"cidr": "2001:db8::40/128"}}], [443]),
        (ANYWHERE, [80]),
        ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elastic"}}}], [9201]),
        (ANYWHERE, [443]),
        (ANYWHERE, [9200]),
        ([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "splunk"}}}], [8089]),
    ]


def test_operator_and_webhook_reach_no_more_of_it_than_they_need(logging: Logging) -> None:
    writing, asking = (logging.of("NetworkPolicy", f"{NAME}-{who}")["spec"] for who in ("platform", "operator"))
    assert (writing["podSelector"], asking["podSelector"]) == (WRITERS["podSelector"], OPERATORS["podSelector"])
    assert ways(writing["egress"]) == [([DNS], [53, 53]), ([GATEWAYS], ["platform"])]
    assert ways(asking["egress"]) == [([GATEWAYS], ["telemetry", "forwarding", "canary"])]


@pytest.mark.parametrize("component", ["operator", "webhook"])
def test_the_platforms_own_pods_start_and_say_what_they_say_without_a_gateway(
    component: str, logging: Logging, tmp_path: Path
) -> None:
    ensure_built(LAUNCHER)
    pod = logging.pod("Deployment", {"operator": RELEASE, "webhook": f"{RELEASE}-webhook"}[component])
    (container,) = pod["containers"]
    here = {"/microapps.dev/launcher": str(binary(LAUNCHER)), "/logs-spool": str(tmp_path), "python3": sys.executable}
    line = [here.get(word, word) for word in container["command"]]
    assert tuple(container["command"][-len(recipe.ENTRYPOINT) :]) == recipe.ENTRYPOINT
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator" / "src")}
    done = subprocess.run(
        [*line, container["args"][0], "--help"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"microapp-operator {container['args'][0]}" in done.stdout
    kept = "".join(file.read_text() for file in tmp_path.glob("*.records"))
    assert len(kept.splitlines()) == len([line for line in done.stdout.splitlines() if line])
    mounted = {m["name"] for m in (*container["volumeMounts"], *pod["initContainers"][0]["volumeMounts"])}
    assert {"launcher", "logs-spool"} <= mounted <= {volume["name"] for volume in pod["volumes"]}


def test_the_operator_may_tell_forwarders_what_to_do_without_a_vault_too(tmp_path: Path) -> None:
    may = [rule for rule in Logging(tmp_path).of("ClusterRole", RELEASE)["rules"] if "configmaps" in rule["resources"]]
    assert {"create", "patch", "update", "delete"} <= {verb for rule in may for verb in rule["verbs"]}
