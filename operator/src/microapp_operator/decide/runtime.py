"""Whether this cluster can honour the runtime profile, and how the app is isolated then."""

from decimal import Decimal

from microapp_operator.desired.context import RuntimeChoice, WorkloadKind
from microapp_operator.desired.pod import replica_size
from microapp_operator.model import MicroApp, Profile, RiskTier
from microapp_operator.model.quantity import format_memory
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import Capabilities, Images
from microapp_operator.wasm_runner import LEAST_MEMORY

_PROFILE = "spec.runtime.profile"


def resolve_runtime(
    app: MicroApp, tier: RiskTier, capabilities: Capabilities, images: Images
) -> RuntimeChoice | Finding:
    """The way to run ``app`` here, or why there is none; never another profile in its place."""
    wanted = tier.spec.runtime
    hardened = _first(wanted.hardened_class_names, capabilities)
    match app.spec.runtime.profile:
        case Profile.CONTAINER:
            return RuntimeChoice(WorkloadKind.DEPLOYMENT, hardened)
        case Profile.WASM:
            found = _first(wanted.wasm_class_names, capabilities)
            if found:
                return RuntimeChoice(WorkloadKind.DEPLOYMENT, found)
            return _in_container(app, tier, images) or RuntimeChoice(
                WorkloadKind.DEPLOYMENT, hardened, images.wasm_runner
            )
        case Profile.SERVERLESS:
            if capabilities.knative:
                return RuntimeChoice(WorkloadKind.KNATIVE_SERVICE, hardened)
            return Finding(
                Reason.KNATIVE_NOT_SERVED,
                _PROFILE,
                "profile serverless needs the API serving.knative.dev/v1, which the cluster does not serve.",
            )


def describe_runtime(app: MicroApp, choice: RuntimeChoice) -> Finding:
    """What isolates ``app``, said under the reason that names it."""
    profile, name = app.spec.runtime.profile, choice.runtime_class
    under = f" under RuntimeClass {name}" if name else ""
    if choice.wasm_runner:
        return Finding(
            Reason.WASM_IN_CONTAINER,
            "",
            f"The module runs in the platform's WebAssembly runner, in a hardened container{under}: it answers HTTP, "
            "has its declared storage, environment and secrets, and no network.",
        )
    if profile is Profile.WASM:
        return Finding(Reason.WASM_RUNTIME_CLASS, "", f"The module is run by the node{under}.")
    return Finding(Reason.PROFILE_SUPPORTED, "", f"Profile {profile} is run{under or ' by the node as any container'}.")


def _in_container(app: MicroApp, tier: RiskTier, images: Images) -> Finding | None:
    """Why the platform's runner can't stand in for a RuntimeClass; None when it can."""
    names = ", ".join(tier.spec.runtime.wasm_class_names) or "none named"
    needed = f"profile wasm needs one of the RuntimeClasses of tier {tier.metadata.name} ({names})"
    if not tier.spec.runtime.wasm_in_container:
        text = f"{needed}; the cluster has none of them, and the tier doesn't allow a module in a container."
        return Finding(Reason.RUNTIME_CLASS_NOT_FOUND, _PROFILE, text)
    if not images.wasm_runner:
        text = f"{needed}; the cluster has none of them, and the operator no image that runs a module in a container."
        return Finding(Reason.RUNTIME_CLASS_NOT_FOUND, _PROFILE, text)
    if replica_size(app).memory < LEAST_MEMORY:
        given, least = app.spec.runtime.resources.memory, format_memory(Decimal(LEAST_MEMORY))
        text = f"a module in a container needs {least}; {given} is less."
        return Finding(Reason.WASM_MEMORY_TOO_SMALL, "spec.runtime.resources.memory", text)
    return None


def _first(names: tuple[str, ...], capabilities: Capabilities) -> str:
    return next((name for name in names if name in capabilities.runtime_classes), "")
