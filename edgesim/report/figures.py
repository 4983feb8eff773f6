"""How a figure of a distribution is written."""

from edgesim.result import Distribution

PERCENTILES = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99_9": "p99.9"}


def figure(times: Distribution, name: str) -> str:
    """A figure in milliseconds; ``∞`` among failed requests; ``-`` where the sample is too small."""
    value = getattr(times, name)
    if value is None:
        return "∞" if name in times.infinite else "-"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3f}"
