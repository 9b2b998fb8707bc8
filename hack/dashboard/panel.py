"""One panel of the dashboard, and the queries that many have."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Panel:
    """One panel. queries: (expression, legend). unit: Grafana's name of it."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    description: str
    kind: str = "timeseries"


def p99(metric: str, by: str = "") -> str:
    """The 99th percentile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile(0.99, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def rate(metric: str, by: str, matchers: str = "") -> str:
    """What a counter grows by in a second."""
    return f"sum by ({by}) (rate({metric}{matchers}[$__rate_interval]))"
