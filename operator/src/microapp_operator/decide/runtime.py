"""Whether this cluster can honour the runtime profile, and with which RuntimeClass."""

from microapp_operator.desired.context import RuntimeChoice, WorkloadKind
from microapp_operator.model import MicroApp, Profile, RiskTier
from microapp_operator.reasons import Finding, Reason
from microapp_operator.settings import Capabilities


def resolve_runtime(app: MicroApp, tier: RiskTier, capabilities: Capabilities) -> RuntimeChoice | Finding:
    """The way to run ``app`` here, or why there is none; never another profile in its place."""
    wanted = tier.spec.runtime
    match app.spec.runtime.profile:
        case Profile.CONTAINER:
            hardened = _first(wanted.hardened_class_names, capabilities)
            return RuntimeChoice(WorkloadKind.DEPLOYMENT, hardened)
        case Profile.WASM:
            found = _first(wanted.wasm_class_names, capabilities)
            if found:
                return RuntimeChoice(WorkloadKind.DEPLOYMENT, found)
            names = ", ".join(wanted.wasm_class_names) or "none named"
            return Finding(
                Reason.RUNTIME_CLASS_NOT_FOUND,
                "spec.runtime.profile",
                f"profile wasm needs one of the RuntimeClasses of tier {tier.metadata.name} ({names}); "
                "the cluster has none of them.",
            )
        case Profile.SERVERLESS:
            if capabilities.knative:
                hardened = _first(wanted.hardened_class_names, capabilities)
                return RuntimeChoice(WorkloadKind.KNATIVE_SERVICE, hardened)
            return Finding(
                Reason.KNATIVE_NOT_SERVED,
                "spec.runtime.profile",
                "profile serverless needs the API serving.knative.dev/v1, which the cluster does not serve.",
            )


def _first(names: tuple[str, ...], capabilities: Capabilities) -> str:
    return next((name for name in names if name in capabilities.runtime_classes), "")
