"""How the figures of a distribution are written, and the table of them."""

from collections.abc import Iterator

from edgesim.results.run_result import Distribution, RunResult
from edgesim.results.stack_result import Recorded

PERCENTILES = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99_9": "p99.9"}
# Of the table of times, with their headings.
COLUMNS = {"min": "min", "mean": "mean", **PERCENTILES, "max": "max"}


def figure(times: Distribution, name: str) -> str:
    """A figure in milliseconds; ``∞`` among failed requests; ``-`` where the sample is too small."""
    value = getattr(times, name)
    if value is None:
        return "∞" if name in times.infinite else "-"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.3f}"


def rows(result: Recorded) -> Iterator[tuple[str, list[str]]]:
    """The times of the requests: what they are of, and the figures that `COLUMNS` names."""
    sections = {
        "query latency": result.query_latency_ms if isinstance(result, RunResult) else None,
        "latency": result.latency_ms,
        "service time": result.service_time_ms,
        "sent late by": result.lag_ms,
    }
    for label, times in sections.items():
        if times is not None:
            yield label, [figure(times, name) for name in COLUMNS]
