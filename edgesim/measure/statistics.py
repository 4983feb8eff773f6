"""Statistics of a sample of times; pure functions."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from edgesim.result import Distribution

# What the tail may be claimed with: 99 % sure, one request allowed beyond it.
_CONFIDENCE = 0.99
_SMALLEST_FOR_MEDIAN = 3


@cache
def smallest_sample(percentile: float) -> int:
    """How many samples a percentile takes before it can be stated.

    MLPerf LoadGen's early-stopping rule with one allowed miss: the smallest n for which, were the true share beyond the
    percentile larger than claimed, at most one sample of n beyond it would be less than 1 % likely:
    q^n + n (1 - q) q^(n-1) <= 1 - 0.99. That gives 64 for p90, 662 for p99, 6,636 for p99.9. The median takes 3: it is
    no claim about a tail.
    """
    if percentile <= 50:
        return _SMALLEST_FOR_MEDIAN
    q = percentile / 100
    n = 2
    while q**n + n * (1 - q) * q ** (n - 1) > 1 - _CONFIDENCE:
        n += 1
    return n


def summarise(times_ms: Sequence[float]) -> Distribution:
    """Minimum, mean, percentiles and maximum; None for what the sample is too small to say."""
    if not times_ms:
        return Distribution()
    values = np.asarray(times_ms, dtype=np.float64)

    def percentile(wanted: float) -> float | None:
        return float(np.percentile(values, wanted)) if len(values) >= smallest_sample(wanted) else None

    return Distribution(
        min=float(values.min()),
        mean=float(values.mean()),
        p50=percentile(50),
        p90=percentile(90),
        p95=percentile(95),
        p99=percentile(99),
        p99_9=percentile(99.9),
        max=float(values.max()),
    )
