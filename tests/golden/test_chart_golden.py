"""From values to manifests: one case per values file, rendered by the real Helm."""

from pathlib import Path
from textwrap import indent

import pytest
from hack.helm import POLICY_API, render
from hack.loggateway import TARGET

HERE = Path(__file__).parent / "chart"
CASES = {
    "default": ("microapp-system", [f"--api-versions={POLICY_API}"]),
    "production": ("microapp-system", ["--set=admission.stamps=policy"]),
    "renamed": ("microapp-system-eu", []),
    "logging": ("microapp-system", [f"--api-versions={POLICY_API}"]),
}
"""Namespace and further flags of each case."""


def rendered(case: str) -> str:
    """What comes of ``case``, but for the log gateway's configuration, which is generated and not of the values."""
    namespace, flags = CASES[case]
    text = render(f"--values={HERE / case / 'values.yaml'}", *flags, namespace=namespace)
    return text.replace(indent(TARGET.read_text(), "    "), "    # logging/gateway.yaml\n")


@pytest.mark.parametrize("case", CASES)
def test_what_the_chart_renders(case: str, golden_update: bool) -> None:
    text, golden = rendered(case), HERE / case / "output.yaml"
    if golden_update:
        golden.write_text(text)
    assert text == golden.read_text(), f"{golden} differs; rewrite with --golden-update after reading the difference"


def test_every_values_file_is_a_case() -> None:
    assert {p.parent.name for p in HERE.glob("*/values.yaml")} == set(CASES)
