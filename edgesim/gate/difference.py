"""How a figure differs between two results, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesim.gate.metrics import Metric, containers, metric, percentile_of
from edgesim.result import RunResult

_RESAMPLES, _FEWEST_RESAMPLES = 2000, 400
# In all, of long runs; some seconds.
_MOST_DRAWN = 100_000_000
_CONFIDENCE = 0.99
# Fewer containers a side say nothing of the next one.
FEWEST_CONTAINERS = 3


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric on both sides; `change` is the candidate's over the base's, less 1.

    `low` to `high` is the 99 % interval of the change, by resampling; None where the result has no scatter to resample.
    `by` is what was resampled: ``containers`` (it holds for another run), or ``requests`` (of these very runs only).
    """

    base: Metric
    candidate: Metric
    change: float | None
    low: float | None = None
    high: float | None = None
    by: str | None = None


def difference(base: RunResult, candidate: RunResult, name: str) -> Difference:
    """How a metric has changed from `base` to `candidate`."""
    ours, theirs = metric(base, name), metric(candidate, name)
    change = _change(ours.value, theirs.value)
    percentile = percentile_of(name)
    if change is None or not math.isfinite(change) or percentile is None:
        return Difference(base=ours, candidate=theirs, change=change)
    sides = containers(base, name), containers(candidate, name)
    if any(not len(part) for side in sides for part in side):
        return Difference(base=ours, candidate=theirs, change=None)  # a figure of requests that are not there
    by = "containers" if min(map(len, sides)) >= FEWEST_CONTAINERS else "requests"
    low, high = _interval(*sides, percentile)
    return Difference(base=ours, candidate=theirs, change=change, low=low, high=high, by=by)


def _change(base: float | None, candidate: float | None) -> float | None:
    if base is None or candidate is None:
        return None
    if base == 0:
        return 0.0 if candidate == 0 else math.copysign(math.inf, candidate)
    return candidate / base - 1


def _interval(
    base: Sequence[np.ndarray], candidate: Sequence[np.ndarray], percentile: float | Literal["mean"]
) -> tuple[float, float]:
    """By the bootstrap in two stages: containers with replacement, then the requests within each."""
    generator = np.random.default_rng(0)
    drawn = sum(map(len, base)) + sum(map(len, candidate))
    resamples = max(min(_MOST_DRAWN // drawn, _RESAMPLES), _FEWEST_RESAMPLES)
    ratios = [
        _statistic(_resampled(candidate, generator), percentile) / _statistic(_resampled(base, generator), percentile)
        - 1
        for _ in range(resamples)
    ]
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(ratios, (tail, 100 - tail))
    return float(low), float(high)


def _resampled(containers: Sequence[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    chosen = [containers[i] for i in generator.integers(len(containers), size=len(containers))]
    return np.concatenate([generator.choice(part, size=len(part)) for part in chosen])


def _statistic(latencies: np.ndarray, percentile: float | Literal["mean"]) -> float:
    return float(np.mean(latencies) if percentile == "mean" else np.percentile(latencies, percentile))
