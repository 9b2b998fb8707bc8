"""The tiers that ship with the product, as the chart installs them."""

from pathlib import Path

import yaml

from microapp_operator.model import RiskTier, parse

FILE = Path(__file__).parents[2] / "charts/microapp-operator/files/risktiers.yaml"


def load_tiers() -> dict[str, RiskTier]:
    """Each tier by name."""
    tiers = [parse(RiskTier, raw) for raw in yaml.safe_load_all(FILE.read_text()) if raw]
    return {tier.metadata.name: tier for tier in tiers}
