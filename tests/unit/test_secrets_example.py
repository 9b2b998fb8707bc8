"""The example with secrets: with a Vault connected it gets what it may have, and waits for what has to be approved."""

from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import yaml

from microapp_operator.decide.decision import Surroundings, evaluate
from microapp_operator.model import Connector, MicroApp, RiskTier, parse
from microapp_operator.reasons import Reason
from microapp_operator.settings import Capabilities, VaultSettings

ROOT = Path(__file__).parents[2]
VAULT = VaultSettings(
    address="https://vault.example.com:8200",
    networks=(ip_network("192.0.2.10/32"),),
    agent_image="registry.example.com/platform/vault@sha256:" + "c" * 64,
)


def test_it_reads_its_own_and_the_platforms_and_its_database_waits_for_an_approval() -> None:
    connector, app = yaml.safe_load_all((ROOT / "examples" / "06-secrets.yaml").read_text())
    shipped = ROOT / "charts" / "microapp-operator" / "files" / "risktiers.yaml"
    tiers = {t["metadata"]["name"]: parse(RiskTier, t) for t in yaml.safe_load_all(shipped.read_text())}
    app["metadata"] |= {"uid": "uid", "generation": 1}
    connectors = {"tax-office": parse(Connector, connector)}
    around = Surroundings(tiers, connectors, (), Capabilities(), (), vault=VAULT)
    decision = evaluate(parse(MicroApp, app), tiers["medium"], around, datetime(2026, 6, 1, tzinfo=UTC))
    assert decision.accepted
    assert [(f.reason, f.path) for f in decision.verdict.secrets] == [
        (Reason.SECRET_APPROVAL_PENDING, "spec.secrets[1]")
    ]
    assert decision.secrets is not None
    assert [(s.name, s.secret_id) for s in decision.secrets.sources] == [
        ("signing-key", "vault://secret/finance/tax-filing/signing-key"),
        ("tax", "vault://secret/_platform/tax-office/token"),
    ]
