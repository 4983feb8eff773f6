"""Statistics of a sample of times; pure functions. A request that failed took infinitely long."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from edgesim.results.run_result import Distribution

PERCENTILES: Mapping[str, float] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99_9": 99.9}

# What the tail may be claimed with: 99 % sure, one request allowed beyond it.
_CONFIDENCE = 0.99
_SMALLEST_FOR_MEDIAN = 3
# Of the intervals that are given with the percentiles.
_INTERVAL_CONFIDENCE = 0.95

# The histogram's range and precision: 1 microsecond to 1 hour, three digits.
_HISTOGRAM_MICROSECONDS = (1, 3_600_000_000, 3)


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


def percentile(ordered: NDArray[np.float64], wanted: float) -> float:
    """The smallest value that `wanted` percent of an ascending sample do not exceed (nearest rank); may be infinite."""
    return float(ordered[max(math.ceil(len(ordered) * wanted / 100 - 1e-9), 1) - 1])


def interval(ordered: NDArray[np.float64], wanted: float) -> tuple[float, float] | None:
    """A 95 % confidence interval of a percentile, from two order statistics of an ascending sample.

    It makes no assumption about the distribution but that the samples are independent: the number of samples below the
    true percentile is binomial, so its quantiles give the ranks (David and Nagaraja, Order Statistics, 7.1). None where
    the sample has no such ranks.
    """
    from scipy.stats import binom  # takes a second to import, see edgesim.measure.steady_state.prepare

    n, q = len(ordered), wanted / 100
    low = int(binom.ppf((1 - _INTERVAL_CONFIDENCE) / 2, n, q))
    high = int(binom.ppf((1 + _INTERVAL_CONFIDENCE) / 2, n, q)) + 1
    return (float(ordered[low - 1]), float(ordered[high - 1])) if low >= 1 and high <= n else None


def is_precise(times: Sequence[float] | NDArray[Any], wanted: float, percent: float) -> bool:
    """Whether a percentile's confidence interval lies within `percent` of it, on either side."""
    ordered = np.sort(np.asarray(times, dtype=np.float64))
    if len(ordered) < smallest_sample(wanted):
        return False
    bounds = interval(ordered, wanted)
    value = percentile(ordered, wanted)
    if bounds is None or not math.isfinite(bounds[1]):
        return False
    return max(value - bounds[0], bounds[1] - value) <= value * percent / 100


def summarise(times_ms: Sequence[float]) -> Distribution:
    """Minimum, mean, percentiles with their intervals, maximum; `math.inf` stands for a request that failed.

    None for what the sample is too small to say, and for what is infinite, which `infinite` then names.
    """
    if not times_ms:
        return Distribution()
    ordered = np.sort(np.asarray(times_ms, dtype=np.float64))
    n = len(ordered)
    values = {"min": float(ordered[0]), "mean": float(ordered.mean()), "max": float(ordered[-1])}
    intervals, needs = {}, {}
    for name, wanted in PERCENTILES.items():
        if n < smallest_sample(wanted):
            needs[name] = smallest_sample(wanted)
            continue
        values[name] = percentile(ordered, wanted)
        if (bounds := interval(ordered, wanted)) is not None:
            intervals[name] = (bounds[0], bounds[1] if math.isfinite(bounds[1]) else None)
    infinite = tuple(name for name, value in values.items() if math.isinf(value))
    return Distribution(
        samples=n,
        **{name: value for name, value in values.items() if name not in infinite},
        infinite=infinite,
        intervals={name: bounds for name, bounds in intervals.items() if name not in infinite},
        needs_samples=needs,
        histogram=histogram(ordered),
    )


def histogram(times_ms: NDArray[np.float64]) -> str:
    """The finite times in HdrHistogram's V2 form (base64), in microseconds: two of them can be added to one."""
    hdr = HdrHistogram(*_HISTOGRAM_MICROSECONDS)
    low, high, _ = _HISTOGRAM_MICROSECONDS
    finite = times_ms[np.isfinite(times_ms)]
    microseconds = np.clip(np.rint(finite * 1000), low, high).astype(np.int64)
    for value, count in zip(*np.unique(microseconds, return_counts=True), strict=True):
        hdr.record_value(int(value), int(count))
    return str(hdr.encode().decode())


def merged(histograms: Sequence[str]) -> HdrHistogram:
    """One histogram of several runs' `histogram`s, in microseconds."""
    total = HdrHistogram(*_HISTOGRAM_MICROSECONDS)
    for encoded in histograms:
        total.decode_and_add(encoded)
    return total
