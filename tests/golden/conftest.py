"""The option that rewrites golden files: ``pytest tests/golden --golden-update``."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden-update", action="store_true", help="rewrite the golden files from what is rendered")


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether to rewrite; False also when the option is unknown, as in a run of all tests."""
    return bool(request.config.getoption("--golden-update", default=False))
