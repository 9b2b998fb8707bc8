"""Installs what ships besides the operator itself: CRDs, risk tiers, roles."""

from pathlib import Path

from hack.kubectl import Kubectl

ROOT = Path(__file__).parent.parent
TIERS = ROOT / "charts" / "microapp-operator" / "files" / "risktiers.yaml"


def install(kubectl: Kubectl) -> None:
    """Apply them and wait until the API server serves the kinds."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "-f", str(ROOT / "crds"), "--timeout=30s")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(TIERS.parent))
