"""``microapp-operator logs``: the recent records of an app, from all its pods, with the rights of whoever asks."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from microapp_operator.adapters.kubernetes.client import (
    Call,
    KubernetesClient,
    kubeconfig_from_environment,
    load_configuration,
)
from microapp_operator.adapters.kubernetes.kinds import MICRO_APP, POD
from microapp_operator.adapters.kubernetes.listing import pages
from microapp_operator.adapters.kubernetes.pod_logs import LogRequest, read_pod_log
from microapp_operator.cli import log_plight as plight
from microapp_operator.cli.log_lines import LogLines
from microapp_operator.cli.log_plight import Unreadable
from microapp_operator.cli.log_text import Line, build_json_lines, build_table, escape
from microapp_operator.cli.terminal import write
from microapp_operator.desired.metadata import pod_selector
from microapp_operator.desired.pod import CONTAINER
from microapp_operator.errors import Forbidden, Gone, OperatorError
from microapp_operator.model import Manifest, MicroApp, parse

FINE: Final = 0
UNREAD: Final = 1
"""Exit status when something couldn't be read; what could be is printed all the same."""
_AT_ONCE: Final = 8
"""Pods."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to read. tail: records at most. since: seconds. trace: only this one's records. None: all."""

    name: str
    namespace: str
    tail: int
    since: int | None
    trace: str | None
    previous: bool

    def request(self) -> LogRequest:
        """One line more than is shown tells that there are more; those of a trace may be anywhere."""
        return LogRequest(CONTAINER, self.since, None if self.trace else self.tail + 1, self.previous)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to show, and what to say besides. complete: all pods could be read."""

    lines: Sequence[Line]
    notes: Sequence[str]
    complete: bool


def run(arguments: argparse.Namespace) -> int:
    """Print them; returns the exit status."""
    wish = Wish(
        name=arguments.name,
        namespace=arguments.namespace,
        tail=arguments.tail,
        since=arguments.since,
        trace=arguments.trace,
        previous=arguments.previous,
    )
    try:
        found = asyncio.run(_find(wish))
    except Unreadable as error:
        _say(f"{error.what} Fix: {error.fix}")
        return UNREAD
    for note in found.notes:
        _say(note)
    if found.lines:
        write(build_json_lines(found.lines) if arguments.output == "json" else build_table(found.lines))
    return FINE if found.complete else UNREAD


def _say(text: str) -> None:
    print(f"microapp-operator logs: {escape(text)}", file=sys.stderr)  # noqa: T201


async def _find(wish: Wish) -> Found:
    try:
        configuration = await load_configuration(kubeconfig_from_environment(os.environ), None)
    except OperatorError as error:
        raise plight.no_credentials(error) from error
    client = KubernetesClient(configuration, in_flight=_AT_ONCE)
    try:
        app = await _app(client, wish)
        home = plight.home_of(app)
        pods = await _pods(client, app, home)
        asked, notes = plight.sort_out(app, pods, previous=wish.previous)
        return await _read(client, wish, app, asked, notes)
    finally:
        await client.close()


async def _app(client: KubernetesClient, wish: Wish) -> MicroApp:
    where = f"{wish.namespace}/{wish.name}"
    try:
        call = Call("GET", f"{MICRO_APP.collection(wish.namespace)}/{wish.name}", MICRO_APP.plural)
        return parse(MicroApp, await client.read(call))
    except Gone as error:
        raise plight.no_app(where, error) from error
    except Forbidden as error:
        raise plight.app_forbidden(where, wish.namespace, error) from error
    except OperatorError as error:
        raise plight.not_answered(where, client.host, error) from error


async def _pods(client: KubernetesClient, app: MicroApp, home: str) -> list[Manifest]:
    labels = pod_selector(app.metadata.namespace, app.metadata.name)
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    try:
        found = [pod async for page in pages(client, POD, home, selector=selector) for pod in page]
    except Forbidden as error:
        raise plight.pods_forbidden(app, home, error) from error
    except OperatorError as error:
        raise plight.not_answered(f"the pods in namespace {home}", client.host, error) from error
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


async def _read(
    client: KubernetesClient, wish: Wish, app: MicroApp, pods: Sequence[str], notes: Sequence[str]
) -> Found:
    home = plight.home_of(app)
    turns = asyncio.Semaphore(_AT_ONCE)
    logs = {pod: LogLines(keep=wish.tail + 1, trace=wish.trace) for pod in pods}

    async def read(pod: str) -> OperatorError | None:
        try:
            async with turns:
                await read_pod_log(client, home, pod, wish.request(), logs[pod].take)
        except OperatorError as error:
            return error
        logs[pod].end()
        return None

    errors = dict(zip(pods, await asyncio.gather(*map(read, pods)), strict=True))
    for error in errors.values():
        if isinstance(error, Forbidden):
            raise plight.pods_forbidden(app, home, error) from error
    failed = [plight.build_failure(pod, home, error) for pod, error in errors.items() if error is not None]
    remarks = [f"pod {pod}: its node says: {remark}" for pod in pods for remark in logs[pod].remarks]
    meta = app.metadata
    lines = [Line(each, meta.name, meta.namespace, pod) for pod in pods for each in logs[pod].records]
    lines.sort(key=lambda line: line.record.time)
    said = [*plight.build_notes(app, shown=min(len(lines), wish.tail), more=len(lines) > wish.tail), *notes]
    return Found(lines[-wish.tail :], (*said, *failed, *remarks), complete=not failed)
