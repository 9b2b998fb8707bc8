"""What a pod is given to forward its records, by where they come from: one case each."""

from pathlib import Path

import pytest
from tests.golden.test_golden import INPUT, compare, render

HERE = Path(__file__).parent / "logging"
CASES = sorted(path.parent.name for path in HERE.glob("*/input.yaml"))
KINDS = ("namespace.yaml", "networkpolicy.yaml", "configmap.yaml", "deployment.yaml")
"""Of the children, what forwarding has a part in."""


@pytest.mark.parametrize("case", CASES)
def test_children(case: str, golden_update: bool) -> None:
    rendered = {name: text for name, text in render(f"logging/{case}").items() if name in KINDS}
    compare(HERE / case, rendered, golden_update=golden_update)


def test_every_source_has_a_case() -> None:
    assert CASES == ["entrypoint", "file", "otlp", "stdout", "wasm"]
    assert all((HERE / case / INPUT).exists() for case in CASES)
