"""Which objects are judged: those the webhook is asked about, and no others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from microapp_operator.cli.scope import ASKED, explain_unasked
from microapp_operator.constants import LABEL_APP_UID
from microapp_operator.policy.groups import KIND_GROUPS

WEBHOOK = Path(__file__).parents[2] / "charts/microapp-operator/admission/webhook.yaml"
PLURALS = {"networkpolicies": "NetworkPolicy"}
APP = {"ma-a-b": {LABEL_APP_UID: "uid"}, "web": {"team": "x"}}


def manifest(version: str, kind: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", **metadata}}


def plural(kind: str) -> str:
    known = {singular: resource for resource, singular in PLURALS.items()}
    return known.get(kind, f"{kind.lower()}s")


def test_every_kind_is_one_the_webhook_is_asked_about_and_a_rule_knows() -> None:
    (configuration,) = yaml.safe_load_all(WEBHOOK.read_text())
    asked = {
        (group, resource)
        for webhook in configuration["webhooks"]
        for rule in webhook["rules"]
        if "CREATE" in rule["operations"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for group, kinds in ASKED.items():
        for kind in kinds:
            assert (group, plural(kind)) in asked
            assert kind in KIND_GROUPS


def test_no_kind_that_has_rules_of_its_own_is_left_out() -> None:
    subresources = {"PodExecOptions", "PodAttachOptions", "PodPortForwardOptions", "Scale"}
    assert set().union(*ASKED.values()) == set(KIND_GROUPS) - subresources


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (manifest("v1", "ConfigMap"), "no rule looks at this kind"),
        (manifest("serving.knative.dev/v1", "Service"), "no rule looks at this kind"),
        (manifest("example.com/v1", "Tenant"), "no rule looks at this kind"),
        (manifest("v1", "Namespace"), "isn't the namespace of an app"),
        (manifest("v1", "Pod", namespace="web"), "namespace web isn't that of an app"),
        (manifest("v1", "Pod", namespace="kube-system"), "isn't that of an app"),
    ],
)
def test_what_admission_is_never_asked_about_says_why(given: dict[str, Any], why: str) -> None:
    assert why in explain_unasked(given, APP)


@pytest.mark.parametrize(
    "given",
    [
        manifest("microapps.dev/v1alpha1", "MicroApp"),
        manifest("microapps.dev/v9", "Microap"),
        manifest("v1", "Pod"),
        manifest("v1", "Pod", namespace="unknown"),
        manifest("v1", "Pod", namespace="ma-a-b"),
        manifest("apps/v1beta1", "Deployment", namespace="ma-a-b"),
        manifest("v1", "Namespace", labels={LABEL_APP_UID: "uid"}),
    ],
)
def test_what_may_belong_to_an_app_is_judged(given: dict[str, Any]) -> None:
    assert explain_unasked(given, APP) == ""
