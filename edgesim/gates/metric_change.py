"""How a metric changed between two results, with a confidence interval."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesim.gates import paired_statistics
from edgesim.gates.comparable import are_paired
from edgesim.gates.result_metrics import (
    OF_THE_BOARD,
    Metric,
    is_count,
    is_time,
    measured_as,
    metric,
    per_container,
    statistics,
    times,
)
from edgesim.results.run_result import RunResult

_RESAMPLES, _FEWEST_RESAMPLES = 2000, 400
# Draws in all resamples together, so that long runs take seconds.
_MOST_DRAWN = 100_000_000
_MOST_HELD = 1_000_000
CONFIDENCE = 0.99
# Fewer containers on a side say nothing about the next container.
FEWEST_CONTAINERS = 3
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """A metric on both sides, and its change.

    Attributes:
        change: the candidate's value divided by the base's, minus 1; None if either value is missing.
        low, high: the confidence interval of the change; None if the results have no scatter to compute one from.
        by: what the interval covers: ``rounds`` (both sides took turns: the most reliable), ``containers`` (holds for
            another run, too), ``requests`` (holds for these containers only) or ``counts`` (of instructions, which
            differ by nothing that another run would change).
        pairs: more statistics of the rounds.
    """

    base: Metric
    candidate: Metric
    change: float | None
    low: float | None = None
    high: float | None = None
    by: str | None = None
    pairs: paired_statistics.Estimate | None = None


def metric_change(
    base: RunResult, candidate: RunResult, name: str, *, tail: float = (1 - CONFIDENCE) / 2
) -> MetricChange:
    """Return how a metric changed from `base` to `candidate`.

    `tail` is the probability beyond either end of the interval.
    """
    base_metric, candidate_metric = metric(base, name), metric(candidate, name)
    change = _change(base_metric.value, candidate_metric.value)
    uncertain = MetricChange(base=base_metric, candidate=candidate_metric, change=change)
    base_times, candidate_times = times(base, name), times(candidate, name)
    if any(not all(map(len, containers)) for containers in (base_times, candidate_times) if containers is not None):
        return replace(uncertain, change=None)  # a figure of requests that the result does not have
    if change is None or not math.isfinite(change):
        return uncertain
    if is_count(name):
        low, high = _between_counts(base_metric, candidate_metric)
        return replace(uncertain, low=low, high=high, by="counts")
    base_figures = _all_positive(per_container(base, name, base_times))
    candidate_figures = _all_positive(per_container(candidate, name, candidate_times))
    error = _common_error(base, candidate, name)
    # The boards of the rounds are scaled; memory is that of emulated boards, which took no turns.
    in_rounds = are_paired(base, candidate) and not (base.emulated is not None and name in OF_THE_BOARD)
    if in_rounds and base_figures and candidate_figures:
        pairs = paired_statistics.estimate(base_figures, candidate_figures, tail)
        if pairs is None:
            return uncertain
        low, high = _wider(pairs.low, pairs.high, error)
        return replace(uncertain, change=pairs.change, low=low, high=high, by="rounds", pairs=pairs)
    if min(len(base_figures), len(candidate_figures)) >= FEWEST_CONTAINERS:
        change, low, high = _between_containers(base_figures, candidate_figures, tail)
        low, high = _wider(low, high, error)
        return replace(uncertain, change=change, low=low, high=high, by="containers")
    if base_times is not None and candidate_times is not None:
        pooled = np.concatenate(base_times), np.concatenate(candidate_times)
        low, high = _wider(*_between_requests(*pooled, measured_as(base.execution, name), tail), error)
        return replace(uncertain, low=low, high=high, by="requests")
    return uncertain


def _between_counts(base: Metric, candidate: Metric) -> tuple[float | None, float | None]:
    """Return the interval of the change of two medians: from the ends of both intervals that are farthest apart."""
    low, high = _change(base.high, candidate.low), _change(base.low, candidate.high)
    return low, high


def _common_error(base: RunResult, candidate: RunResult, name: str) -> float:
    """Return by how much the change may be off in all containers alike, as a logarithm: their scatter hides it."""
    if name == "cpu_seconds_per_request":
        return sum(_tick(result) for result in (base, candidate) if result.execution == "host")
    if is_time(name):
        # If both are late by the same factor, their ratio stays as it is.
        return abs(_lateness(candidate) - _lateness(base))
    return 0.0


def _tick(result: RunResult) -> float:
    """Return a tick of the kernel's clock for CPU time, as a part of what a container used."""
    used = [restart.cpu_seconds or 0.0 for restart in result.restarts] or [result.resources.cpu_seconds or 0.0]
    return _TICK_S / min(used) if min(used) > 0 else math.inf


def _lateness(result: RunResult) -> float:
    """Return by how much the median of a scaled run exceeds the device time, as a logarithm of the ratio."""
    median = result.service_time_ms.p50
    return math.log(median / result.scaling.models[0].target_ms) if result.scaling is not None and median else 0.0


def _wider(low: float, high: float, error: float) -> tuple[float, float]:
    return math.expm1(math.log1p(low) - error), math.expm1(min(math.log1p(high) + error, 700.0))


def _change(base: float | None, candidate: float | None) -> float | None:
    if base is None or candidate is None:
        return None
    if base == 0:
        return 0.0 if candidate == 0 else math.copysign(math.inf, candidate)
    return candidate / base - 1


def _all_positive(values: Sequence[float | None]) -> list[float]:
    """Return the values if all are known and have a logarithm; otherwise none."""
    known = [value for value in values if value is not None and math.isfinite(value) and value > 0]
    return known if len(known) == len(values) else []


def _between_containers(base: Sequence[float], candidate: Sequence[float], tail: float) -> tuple[float, float, float]:
    """Return the change of the containers' geometric means, and its interval.

    The interval is Student's t on the logarithms, with the degrees of freedom of the smaller side. Welch's (1947) would
    be more, and with few and unequal containers the interval would miss the truth up to three times as often as it may.
    A bootstrap does not do: three containers have ten resamples, whose percentiles are far too close together.
    """
    from scipy.special import stdtrit

    sides = np.log(base), np.log(candidate)
    change = float(sides[1].mean() - sides[0].mean())
    variance = sum(float(side.var(ddof=1)) / len(side) for side in sides)
    half = float(stdtrit(min(map(len, sides)) - 1, 1 - tail)) * math.sqrt(variance)
    return math.expm1(change), math.expm1(change - half), math.expm1(change + half)


def _between_requests(base: np.ndarray, candidate: np.ndarray, name: str, tail: float) -> tuple[float, float]:
    """Return the interval of the change by the bootstrap (Efron 1979)."""
    generator = np.random.default_rng(0)
    resamples = max(min(_MOST_DRAWN // (len(base) + len(candidate)), _RESAMPLES), _FEWEST_RESAMPLES)

    # Of many resamples at once, which is ten times as fast as one by one, in some ten megabytes.
    at_once = max(_MOST_HELD // max(len(base), len(candidate)), 1)

    def resampled(side: np.ndarray) -> np.ndarray:
        parts = [min(at_once, resamples - begun) for begun in range(0, resamples, at_once)]
        drawn = (statistics(generator.choice(side, size=(rows, len(side))), name) for rows in parts)
        values = np.concatenate(list(drawn))
        return np.where(values == 0, math.nan, values)

    ratios = resampled(candidate) / resampled(base) - 1
    low, high = np.percentile(ratios, (100 * tail, 100 * (1 - tail)))
    return float(low), float(high)
