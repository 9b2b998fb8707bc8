"""A quota that blocks a pod is told on the MicroApp, and each tier that ships has room for what it promises."""

import json
import time
from collections.abc import Iterator

import pytest
import yaml
from hack.install import TIERS
from hack.kubectl import Kubectl
from hack.product import Product
from tests.support.apps import Apps, tenant_of

TIER_NAMES = tuple(tier["metadata"]["name"] for tier in yaml.safe_load_all(TIERS.read_text()))
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def apps(kubectl: Kubectl, platform: Product, image: str) -> Iterator[Apps]:  # noqa: ARG001
    with tenant_of(kubectl, image) as apps:
        yield apps


def squatter(image: str, memory: str) -> dict[str, object]:
    """A pod that breaks no rule and takes up the quota; who may write it here is for emergencies alone."""
    size = {"cpu": "50m", "memory": memory}
    command = ["python3", "-m", "microapp_operator.probe", "listen"]
    resources = {"requests": size, "limits": size}
    container = {"name": "c", "image": image, "command": command, "resources": resources, "securityContext": RESTRICTED}
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "squatter"}, "spec": spec}


def test_a_quota_that_blocks_pods_shows_and_so_does_its_end(apps: Apps, kubectl: Kubectl, image: str) -> None:
    apps.apply("squeezed", suspend=True)
    apps.wait("squeezed")
    home = apps.home("squeezed")
    kubectl("apply", "-n", home, "-f", "-", stdin=json.dumps(squatter(image, "400Mi")))
    apps.apply("squeezed")
    begin = time.monotonic()
    apps.wait("squeezed", condition="QuotaHealthy", value="False")
    print(f"the blocked pod showed after {time.monotonic() - begin:.1f} s")
    status, reason, message = apps.condition("squeezed", "QuotaHealthy")
    assert (status, reason) == ("False", "QuotaExceeded")
    assert "exceeded quota: tier-quota" in message
    assert apps.condition("squeezed", "Ready")[:2] == ("False", "QuotaExceeded")
    kubectl("delete", "pod", "squatter", "-n", home, "--grace-period=1")
    apps.wait("squeezed", condition="QuotaHealthy")
    apps.wait("squeezed")


@pytest.mark.parametrize("tier", TIER_NAMES)
def test_an_app_with_the_defaults_of_its_tier_fits_its_quota(apps: Apps, tier: str) -> None:
    defaults = {"cpu": "100m", "memory": "128Mi"}
    apps.apply(f"default-{tier}", riskTier=tier, runtime={"resources": defaults})
    apps.wait(f"default-{tier}")
    assert apps.condition(f"default-{tier}", "QuotaHealthy")[0] == "True"
