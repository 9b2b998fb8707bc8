"""``ports.LogGatewayPort``: where the gateway is, the API server says; what it knows, its pods tell."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import aiohttp
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from microapp_operator.adapters.kubernetes.client import Call, KubernetesClient
from microapp_operator.canary import CanaryState
from microapp_operator.errors import Transient
from microapp_operator.model.common import Manifest
from microapp_operator.ports import GatewayReading, PodReport, SinkState
from microapp_operator.settings import LoggingSettings

FORWARDING: Final = "forwarding"
TELEMETRY: Final = "telemetry"
CANARY: Final = "canary"
"""Names of the ports in the headless Service."""
_PORTS: Final = (FORWARDING, TELEMETRY, CANARY)
_LIMITS: Final = aiohttp.ClientTimeout(total=10, connect=3)
_FIELDS: Final = {
    "microapp_log_delivered_total": "delivered",
    "microapp_log_dropped_total": "dropped",
    "microapp_log_backlog": "backlog",
    "microapp_log_last_delivered_time_seconds": "last_delivered",
    "microapp_log_backlog_since_time_seconds": "waiting_since",
}
"""Of a report, by the metric that holds it."""
_IDENTITY: Final = ("tenant_id", "app_id", "k8s_pod_uid")
_ANSWER: Final = "microapp_log_canary_answer"
_OF_CANARY: Final = {
    "microapp_log_canary_deadline_seconds": "deadline",
    "microapp_log_canary_read_back_time_seconds": "read_back",
    "microapp_log_canary_missing_since_time_seconds": "missing_since",
}
_QUEUED: Final = "otelcol_exporter_queue_size"
_SENT: Final = ("otelcol_exporter_sent_log_records", "otelcol_exporter_sent_log_records_total")


class HttpLogGateway:
    """The gateway that ``settings`` name."""

    def __init__(self, client: KubernetesClient, settings: LoggingSettings) -> None:
        self._client, self._settings = client, settings

    async def address(self) -> str:
        """The Service's own address, which lasts as long as the Service, and its port."""
        path = f"/api/v1/namespaces/{self._settings.namespace}/services/{self._settings.service}"
        spec = (await self._client.read(Call("GET", path, "services")))["spec"]
        host = str(spec.get("clusterIP", ""))
        if host in ("", "None"):
            raise Transient(f"Service {self._settings.namespace}/{self._settings.service} has no address of its own.")
        return f"[{host}]:{self._settings.port}" if ":" in host else f"{host}:{self._settings.port}"

    async def read(self) -> GatewayReading:
        """What those of its pods say that answer: the others' apps come to these. Transient when none does."""
        places = await self._places()
        if not places:
            raise Transient("none of its pods has an address.")
        async with aiohttp.ClientSession(timeout=_LIMITS, trust_env=False) as session:
            answers = await asyncio.gather(*(_ask(session, url) for _, _, url in places), return_exceptions=True)
        told: dict[str, list[tuple[str, Metric]]] = {port: [] for port in _PORTS}
        failures = []
        for (pod, port, _), answer in zip(places, answers, strict=True):
            if isinstance(answer, Transient):
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                told[port] += ((pod, family) for family in text_string_to_metric_families(answer))
        if len(failures) == len(places):
            raise failures[0]
        canaries = read_canaries(told[CANARY])
        return GatewayReading(tuple(_reports(told[FORWARDING])), tuple(_sinks(told[TELEMETRY])), tuple(canaries))

    async def _places(self) -> list[tuple[str, str, str]]:
        """(pod, port's name, URL) of everything there is to ask."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self._settings.namespace}/endpointslices"
        query = (("labelSelector", f"kubernetes.io/service-name={self._settings.pods_service}"),)
        items = (await self._client.read(Call("GET", path, "endpointslices", query)))["items"]
        return [place for item in items for place in _places_of(item)]


def _places_of(piece: Manifest) -> Iterator[tuple[str, str, str]]:
    ports = {port.get("name"): port["port"] for port in piece.get("ports") or ()}
    for endpoint in piece.get("endpoints") or ():
        host = endpoint["addresses"][0]
        where = f"[{host}]" if ":" in host else host
        pod = (endpoint.get("targetRef") or {}).get("name", host)
        for name in _PORTS:
            if name in ports:
                yield pod, name, f"http://{where}:{ports[name]}/metrics"


async def _ask(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as answer:
            text = await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Transient(f"GET {url}: {type(error).__name__} {error}".rstrip()) from error
    if answer.status != 200:
        raise Transient(f"GET {url}: {answer.status}")
    return text


def _reports(told: Iterable[tuple[str, Metric]]) -> Iterator[PodReport]:
    """One for each pod of an app: of two gateways that know it, what the later one was told."""
    found: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    told_at: dict[tuple[str, ...], float] = defaultdict(float)
    for gateway, family in told:
        for sample in family.samples:
            field = _FIELDS.get(sample.name)
            identity = tuple(sample.labels.get(label, "") for label in _IDENTITY)
            if field is not None and all(identity):
                place = (gateway, *identity)
                found[place][field] = sample.value
                told_at[place] = max(told_at[place], float(sample.timestamp or 0))
    latest = {place[1:]: place for place in sorted(found, key=lambda place: told_at[place])}
    for (tenant, app, pod), place in latest.items():
        values = found[place]
        yield PodReport(
            tenant=tenant,
            app=app,
            pod=pod,
            delivered=int(values.get("delivered", 0)),
            dropped=int(values.get("dropped", 0)),
            backlog=int(values.get("backlog", 0)),
            last_delivered=_time(values.get("last_delivered")),
            waiting_since=_time(values.get("waiting_since")),
        )


def _time(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _sinks(told: Iterable[tuple[str, Metric]]) -> Iterator[SinkState]:
    queued: dict[tuple[str, str], float] = defaultdict(float)
    sent: dict[tuple[str, str], float] = defaultdict(float)
    for pod, family in told:
        for sample in family.samples:
            place = (pod, sample.labels.get("exporter", ""))
            if sample.name == _QUEUED:
                queued[place] += sample.value
            elif sample.name in _SENT:
                sent[place] += sample.value
    for (pod, name), waiting in queued.items():
        yield SinkState(pod, name, waiting, sent[pod, name])


def read_canaries(told: Iterable[tuple[str, Metric]]) -> Iterator[CanaryState]:
    """What a canary's pages say: (pod, metric) of all of them."""
    known: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    answers: dict[tuple[str, str], str] = {}
    for pod, family in told:
        for sample in family.samples:
            place = (pod, sample.labels.get("sink", ""))
            if sample.name == _ANSWER:
                answers[place] = sample.labels.get("answer", "")
            elif sample.name in _OF_CANARY:
                known[place][_OF_CANARY[sample.name]] = sample.value
    for (pod, sink), values in known.items():
        if "deadline" in values:
            yield CanaryState(
                pod=pod,
                sink=sink,
                deadline=timedelta(seconds=values["deadline"]),
                read_back=_time(values.get("read_back")),
                missing_since=_time(values.get("missing_since")),
                answer=answers.get((pod, sink), ""),
            )
