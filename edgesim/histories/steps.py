"""Steps: where the level of a series of figures changes, and how sure that is; pure functions of figures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.measure.change_points import change_points, standardised

Floats = NDArray[np.float64]

CONFIDENCE = 0.99
MIN_CHANGE = 0.01
# A segment of fewer results is no level.
_SMALLEST_SEGMENT = 2
_PENALTY = 3.0
# The probability with which the change lies in a step's range.
_RANGE_CONFIDENCE = 0.95
# Equal figures of two releases of numpy differ by rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Span:
    """A step, by places in its series.

    Attributes:
        at: the first figure of the new level; the most likely place.
        first, last: the range of places in which `at` lies with 95 % confidence.
        before, after: medians of the figures from the step before to this one, and from here to the next.
        change: `after` divided by `before`, minus 1.
        confidence: of the step as a whole: 1 minus the probability of such a difference by chance.
    """

    at: int
    first: int
    last: int
    before: float
    after: float
    change: float
    confidence: float


def find(
    values: Sequence[float], *, exact: bool = False, confidence: float = CONFIDENCE, min_change: float = MIN_CHANGE
) -> list[Span]:
    """Return the steps of a series, in their order.

    Of exact figures, such as counts and predictions, each change is a step. Of others a step is a change-point of the
    logarithms (see `edgesim.measure.change_points`), whose two sides differ by Mann and Whitney's test. The test's
    p-value is multiplied by the number of places that the change-point was chosen from (Bonferroni), since the best
    place of many differs by chance, too: with 20 results a step is sure after four of the new level, with 100 after
    three.

    Args:
        values: a figure for each result, in the order of their revisions.
        confidence: of a step, at least.
        min_change: of the level, at least, as a part of the level before.
    """
    figures = np.asarray(values, dtype=np.float64)
    if len(figures) < 2:
        return []
    if exact:
        return _exact(figures, min_change)
    if len(figures) <= 2 * _SMALLEST_SEGMENT:
        return []
    # A figure of 0 has no logarithm.
    scale = np.log(figures) if np.all(figures > 0) else figures / (float(np.median(np.abs(figures))) or 1.0)
    signal = standardised(scale, least_noise=max(min_change / 4, _ROUNDING))
    n = len(figures)
    bounds = [0, *change_points(signal, smallest=_SMALLEST_SEGMENT, penalty=_PENALTY * float(np.log(n))), n]
    # The weakest change-point goes, until all that stay are sure: the sides of the others grow by it.
    while len(bounds) > 2:
        spans = [
            _span(figures, signal, begin, at, end)
            for begin, at, end in zip(bounds, bounds[1:], bounds[2:], strict=False)
        ]
        doubts = [span.confidence if abs(span.change) >= min_change else -1.0 for span in spans]
        weakest = int(np.argmin(doubts))
        if doubts[weakest] >= confidence:
            return spans
        del bounds[weakest + 1]
    return []


def _exact(figures: Floats, min_change: float) -> list[Span]:
    """Return the steps of figures without noise: each is compared with the first of its level, so none creeps."""
    ends = [0]
    for i, value in enumerate(figures):
        if abs(_change(float(figures[ends[-1]]), float(value))) > max(min_change, _ROUNDING):
            ends.append(i)
    levels = [float(np.median(part)) for part in np.split(figures, ends[1:])]
    return [
        Span(at=at, first=at, last=at, before=before, after=after, change=_change(before, after), confidence=1.0)
        for at, before, after in zip(ends[1:], levels, levels[1:], strict=False)
    ]


def _span(figures: Floats, signal: Floats, begin: int, at: int, end: int) -> Span:
    """Return the step at a change-point between the ones before and after."""
    # Exact for few figures, unlike the normal approximation in `edgesim.measure.steady_state`; slow to import.
    from scipy.stats import mannwhitneyu

    before, after = figures[begin:at], figures[at:end]
    places = end - begin - 1
    p_value = min(float(mannwhitneyu(before, after).pvalue) * places, 1.0)
    levels = float(np.median(before)), float(np.median(after))
    first, last = _range(signal[begin:end])
    return Span(
        at=at,
        first=min(begin + first, at),
        last=max(begin + last, at),
        before=levels[0],
        after=levels[1],
        change=_change(*levels),
        confidence=1 - p_value,
    )


def _range(signal: Floats) -> tuple[int, int]:
    """Return the first and the last place of the smallest set of places that has the change with 95 % confidence.

    With normal noise of one standard deviation, the likelihood of a place falls with exp(-S/2), S the sum of squares
    around the means of both sides; all places are equally likely beforehand.
    """
    n = len(signal)
    places, sums = np.arange(1, n), np.cumsum(signal)
    left, right = sums[:-1] / places, (sums[-1] - sums[:-1]) / (n - places)
    gained = (left - right) ** 2 * places * (n - places) / n
    # The noise of `signal` is that between neighbours, robust and rough; the residuals of the best place say more.
    best = int(np.argmax(gained))
    residuals = np.concatenate([signal[: best + 1] - left[best], signal[best + 1 :] - right[best]])
    variance = max(float(residuals @ residuals) / max(n - 2, 1), 1e-12)
    likelihood = np.exp((gained - gained[best]) / (2 * variance))
    order = np.argsort(-likelihood, kind="stable")
    enough = int(np.searchsorted(np.cumsum(likelihood[order]), _RANGE_CONFIDENCE * likelihood.sum())) + 1
    chosen = places[order[:enough]]
    return int(chosen.min()), int(chosen.max())


def _change(before: float, after: float) -> float:
    if before == 0:
        return 0.0 if after == 0 else float(np.copysign(np.inf, after))
    return (after - before) / abs(before)
