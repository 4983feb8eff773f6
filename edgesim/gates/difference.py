"""How a figure differs between two results, and how sure that is."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.gates import paired
from edgesim.gates.comparable import are_paired
from edgesim.gates.result_metrics import Metric, is_time, measured_as, metric, per_container, statistic, times
from edgesim.results.run_result import RunResult

_RESAMPLES, _FEWEST_RESAMPLES = 2000, 400
# In all, of long runs; some seconds.
_MOST_DRAWN = 100_000_000
CONFIDENCE = 0.99
# Fewer containers a side say nothing of the next one.
FEWEST_CONTAINERS = 3
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric on both sides; `change` is the candidate's over the base's, less 1.

    `low` to `high` is the interval of the change; None where the result has no scatter to take one from. `by` is what
    that is of: ``rounds`` (both sides in turns: the surest), ``containers`` (it holds for another run), or ``requests``
    (of these very runs only). `pairs` has more of what rounds tell.
    """

    base: Metric
    candidate: Metric
    change: float | None
    low: float | None = None
    high: float | None = None
    by: str | None = None
    pairs: paired.Estimate | None = None


def difference(base: RunResult, candidate: RunResult, name: str, *, tail: float = (1 - CONFIDENCE) / 2) -> Difference:
    """How a metric has changed from `base` to `candidate`; `tail` is what lies beyond either end of the interval."""
    ours, theirs = metric(base, name), metric(candidate, name)
    change = _change(ours.value, theirs.value)
    kept = times(base, name), times(candidate, name)
    if any(part is not None and not all(map(len, part)) for part in kept):
        return Difference(base=ours, candidate=theirs, change=None)  # a figure of requests that are not there
    if change is None or not math.isfinite(change):
        return Difference(base=ours, candidate=theirs, change=change)
    sides = _known(per_container(base, name, kept[0])), _known(per_container(candidate, name, kept[1]))
    off = _off(base, candidate, name)
    if are_paired(base, candidate) and sides[0] and sides[1]:
        pairs = paired.estimate(*sides, tail)
        if pairs is None:
            return Difference(base=ours, candidate=theirs, change=change)
        change, (low, high), by = pairs.change, _wider(pairs.low, pairs.high, off), "rounds"
        return Difference(base=ours, candidate=theirs, change=change, low=low, high=high, by=by, pairs=pairs)
    if min(map(len, sides)) >= FEWEST_CONTAINERS:
        change, low, high = _between_containers(*sides, tail)
        low, high = _wider(low, high, off)
        return Difference(base=ours, candidate=theirs, change=change, low=low, high=high, by="containers")
    if kept[0] is not None and kept[1] is not None:
        pooled = np.concatenate(kept[0]), np.concatenate(kept[1])
        low, high = _wider(*_between_requests(*pooled, measured_as(base.execution, name), tail), off)
        return Difference(base=ours, candidate=theirs, change=change, low=low, high=high, by="requests")
    return Difference(base=ours, candidate=theirs, change=change)


def _off(base: RunResult, candidate: RunResult, name: str) -> float:
    """By how much the change may be off in all containers alike, as a logarithm: their scatter does not show that."""
    if name == "cpu_seconds_per_request":
        return sum(_tick(result) for result in (base, candidate) if result.execution == "host")
    if is_time(name):
        # Both late by as much leave their ratio as it is.
        return abs(_late(candidate) - _late(base))
    return 0.0


def _tick(result: RunResult) -> float:
    """A tick of the kernel, in which a process's CPU time is told, as a part of what a container took."""
    spent = [restart.cpu_seconds or 0.0 for restart in result.restarts] or [result.resources.cpu_seconds or 0.0]
    return _TICK_S / min(spent) if min(spent) > 0 else math.inf


def _late(result: RunResult) -> float:
    """What a scaled board's requests took beyond its time, as a logarithm."""
    median = result.service_time_ms.p50
    return math.log(median / result.scaling.models[0].target_ms) if result.scaling is not None and median else 0.0


def _wider(low: float, high: float, off: float) -> tuple[float, float]:
    return math.expm1(math.log1p(low) - off), math.expm1(min(math.log1p(high) + off, 700.0))


def _change(base: float | None, candidate: float | None) -> float | None:
    if base is None or candidate is None:
        return None
    if base == 0:
        return 0.0 if candidate == 0 else math.copysign(math.inf, candidate)
    return candidate / base - 1


def _known(values: Sequence[float | None]) -> list[float]:
    """All of them, where all are known and have a logarithm; none otherwise."""
    known = [value for value in values if value is not None and math.isfinite(value) and value > 0]
    return known if len(known) == len(values) else []


def _between_containers(base: Sequence[float], candidate: Sequence[float], tail: float) -> tuple[float, float, float]:
    """The change of the containers' geometric means, and its interval: Student's t on the logarithms, with the degrees
    of freedom of the smaller side.

    Welch's (1947) are more, and so few and unequal containers then go wrong up to three times as often as they may.
    Not a bootstrap: of three containers there are ten resamples, and their percentiles are far too close together.
    """
    from scipy.special import stdtrit

    ours, theirs = np.log(base), np.log(candidate)
    change = float(theirs.mean() - ours.mean())
    variance = sum(float(side.var(ddof=1)) / len(side) for side in (ours, theirs))
    half = float(stdtrit(min(len(ours), len(theirs)) - 1, 1 - tail)) * math.sqrt(variance)
    return math.expm1(change), math.expm1(change - half), math.expm1(change + half)


def _between_requests(base: np.ndarray, candidate: np.ndarray, name: str, tail: float) -> tuple[float, float]:
    """By the bootstrap (Efron 1979)."""
    generator = np.random.default_rng(0)
    resamples = max(min(_MOST_DRAWN // (len(base) + len(candidate)), _RESAMPLES), _FEWEST_RESAMPLES)

    def resampled(side: np.ndarray) -> float:
        return statistic(generator.choice(side, size=len(side)), name) or math.nan

    ratios = [resampled(candidate) / resampled(base) - 1 for _ in range(resamples)]
    low, high = np.percentile(ratios, (100 * tail, 100 * (1 - tail)))
    return float(low), float(high)
