"""Whether, and how, an app's records can leave its pods. Imports model, reasons, settings and desired at most."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from microapp_operator.desired.context import LoggingContext, RuntimeChoice
from microapp_operator.desired.delivery.files import mounts_clash
from microapp_operator.desired.forwarding.pods import FOLDER, SPOOL
from microapp_operator.desired.launching import PLACE
from microapp_operator.model import MicroApp, Profile
from microapp_operator.model.microapp import LogSource
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import LoggingSettings

_SOURCE: Final = "spec.logging.source"


@dataclass(frozen=True, slots=True)
class LogGateway:
    """The platform's log gateway. address: HOST:PORT of its Service."""

    settings: LoggingSettings
    address: str


def resolve_forwarding(
    app: MicroApp, runtime: RuntimeChoice | None, gateway: LogGateway | None
) -> LoggingContext | Finding | None:
    """How the records of ``app`` are forwarded, or why they can't be; None without a gateway, or when nothing runs."""
    if gateway is None or runtime is None:
        return None
    obstacle = next(_obstacles(app, runtime), None)
    if obstacle is not None:
        return obstacle
    return LoggingContext(gateway.settings, gateway.address, app.spec.logging.source)


def _obstacles(app: MicroApp, runtime: RuntimeChoice) -> Iterator[Finding]:
    profile, source = app.spec.runtime.profile, app.spec.logging.source
    if profile is Profile.SERVERLESS:
        yield _unsupported("spec.runtime.profile", "Knative starts no sidecar ahead of a serverless app.")
    if profile is Profile.WASM and not runtime.wasm_runner:
        yield _unsupported("spec.runtime.profile", "nothing can be put before a module that the node itself runs.")
    if profile is Profile.WASM and source is not LogSource.STDOUT:
        yield _unsupported(_SOURCE, f"a module in a container has no {source}: it writes to standard output.")
    if source is LogSource.OTLP:
        return
    clash = mounts_clash(app, (PLACE, SPOOL, *((FOLDER,) if source is LogSource.FILE else ())))
    if clash is not None:
        yield _unsupported(f"spec.storage[{clash}].mountPath", "the volume hides where records are kept.")


def _unsupported(path: str, message: str) -> Finding:
    return Finding(Reason.LOG_SOURCE_NOT_SUPPORTED, path, message)
