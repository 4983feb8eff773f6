"""Statistics of a sample of times; pure functions. A request that failed took infinitely long."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

PERCENTILES: Mapping[str, float] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99_9": 99.9}

# Confidence of a statement about the tail, with one request allowed beyond the percentile.
_CONFIDENCE = 0.99
_SMALLEST_FOR_MEDIAN = 3
# Confidence of the intervals that are given with the percentiles.
_INTERVAL_CONFIDENCE = 0.95

# The histogram's range and precision: 1 microsecond to 1 hour, three digits.
HISTOGRAM_MICROSECONDS = (1, 3_600_000_000, 3)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The distribution of a sample of times, in milliseconds.

    A figure is None if the sample is too small for it, or if it is infinite.

    Attributes:
        samples: number of times.
        intervals: 95 % confidence intervals by percentile; an upper end of None is infinite.
        needs_samples: for each percentile that the sample is too small for, the number of samples that it needs.
        infinite: names of the figures that are infinite.
        histogram: the finite times, see `histogram`.
    """

    samples: int = 0
    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p99_9: float | None = None
    max: float | None = None
    intervals: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    needs_samples: Mapping[str, int] = field(default_factory=dict)
    infinite: tuple[str, ...] = ()
    histogram: str | None = None


def summarise(times_ms: Sequence[float]) -> Summary:
    """Return minimum, mean, percentiles with their intervals, and maximum; `math.inf` stands for a failed request."""
    if not times_ms:
        return Summary()
    ordered = np.sort(np.asarray(times_ms, dtype=np.float64))
    n = len(ordered)
    values = {"min": float(ordered[0]), "mean": float(ordered.mean()), "max": float(ordered[-1])}
    intervals, needs = {}, {}
    for name, percent in PERCENTILES.items():
        if n < smallest_sample(percent):
            needs[name] = smallest_sample(percent)
            continue
        values[name] = percentile(ordered, percent)
        if (bounds := interval(ordered, percent)) is not None:
            intervals[name] = (bounds[0], bounds[1] if math.isfinite(bounds[1]) else None)
    infinite = tuple(name for name, value in values.items() if math.isinf(value))
    return Summary(
        samples=n,
        **{name: value for name, value in values.items() if name not in infinite},
        infinite=infinite,
        intervals={name: bounds for name, bounds in intervals.items() if name not in infinite},
        needs_samples=needs,
        histogram=histogram(ordered),
    )


@cache
def smallest_sample(percent: float) -> int:
    """Return the number of samples that a percentile needs before it can be stated.

    The rule is MLPerf LoadGen's early stopping with one allowed miss. It asks for the smallest n at which a sample with
    at most one value beyond the percentile would be less than 1 % likely if the true share beyond the percentile were
    larger than claimed: q^n + n (1 - q) q^(n-1) <= 1 - 0.99. That gives 64 for p90, 662 for p99 and 6,636 for p99.9.
    The median needs 3: it is no claim about a tail.
    """
    if percent <= 50:
        return _SMALLEST_FOR_MEDIAN
    q = percent / 100
    n = 2
    while q**n + n * (1 - q) * q ** (n - 1) > 1 - _CONFIDENCE:
        n += 1
    return n


def percentile(ordered: NDArray[np.float64], percent: float) -> float:
    """Return the smallest value of an ascending sample that `percent` of the sample do not exceed (nearest rank).

    The value is infinite if that many requests failed.
    """
    return float(ordered[max(math.ceil(len(ordered) * percent / 100 - 1e-9), 1) - 1])


def interval(ordered: NDArray[np.float64], percent: float) -> tuple[float, float] | None:
    """Return a 95 % confidence interval of a percentile, from two order statistics of an ascending sample.

    The method assumes only that the samples are independent: the number of samples below the true percentile is
    binomial, so its quantiles give the ranks (David and Nagaraja, Order Statistics, 7.1). The interval is None if the
    sample does not have these ranks.
    """
    n = len(ordered)
    tails = ((1 - _INTERVAL_CONFIDENCE) / 2, (1 + _INTERVAL_CONFIDENCE) / 2)
    low, below_high = _binomial_quantiles(tails, n, percent / 100)
    high = below_high + 1
    return (float(ordered[low - 1]), float(ordered[high - 1])) if low >= 1 and high <= n else None


def _binomial_quantiles(probabilities: Sequence[float], n: int, q: float) -> list[int]:
    """Return the smallest counts whose binomial distribution function reaches the probabilities.

    `scipy.stats.binom.ppf` computes the same, and takes a second of CPU time to import.
    """
    from scipy.special import bdtr  # see edgesim.measure.steady_state.prepare

    reach = 10 * math.sqrt(n * q * (1 - q)) + 10  # ten standard deviations on either side
    counts = np.arange(max(math.floor(n * q - reach), 0), min(math.ceil(n * q + reach), n) + 1)
    return [int(count) for count in counts[np.searchsorted(bdtr(counts, n, q), probabilities)]]


def is_precise(times: Sequence[float] | NDArray[Any], percent: float, within_percent: float) -> bool:
    """Return whether a percentile's confidence interval lies within `within_percent` of the percentile on each side."""
    ordered = np.sort(np.asarray(times, dtype=np.float64))
    if len(ordered) < smallest_sample(percent):
        return False
    bounds = interval(ordered, percent)
    value = percentile(ordered, percent)
    if bounds is None or not math.isfinite(bounds[1]):
        return False
    return max(value - bounds[0], bounds[1] - value) <= value * within_percent / 100


def histogram(times_ms: NDArray[np.float64]) -> str:
    """Return the finite times as an HdrHistogram in its V2 form (base64), in whole microseconds.

    Two such histograms can be added up to one.
    """
    hdr = HdrHistogram(*HISTOGRAM_MICROSECONDS)
    low, high, _ = HISTOGRAM_MICROSECONDS
    finite = times_ms[np.isfinite(times_ms)]
    microseconds = np.clip(np.rint(finite * 1000), low, high).astype(np.int64)
    for value, count in zip(*np.unique(microseconds, return_counts=True), strict=True):
        hdr.record_value(int(value), int(count))
    return str(hdr.encode().decode())


def merged(histograms: Sequence[str]) -> HdrHistogram:
    """Add up the `histogram`s of several runs; the values of the sum are microseconds."""
    total = HdrHistogram(*HISTOGRAM_MICROSECONDS)
    for encoded in histograms:
        total.decode_and_add(encoded)
    return total
