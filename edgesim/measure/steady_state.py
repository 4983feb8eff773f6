"""When the warm-up ends, and whether the times after it are steady; pure functions of times in their order."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.measure.change_points import change_points, standardised

# A smaller change of the level is not worth mentioning, however certain it is.
_NOTABLE = 0.05
_SIGNIFICANCE = 0.01
# Fewer samples in each half say nothing about a change between the halves.
_SMALLEST_HALF = 20
_SMALLEST_SEGMENT = 5
_PENALTY = 6.0


def prepare() -> None:
    """Import the library behind this module and `statistics`: a part of a second that must not fall into a load."""
    import scipy.special  # noqa: F401


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """The requests before the measured ones.

    Attributes:
        requests: number of requests.
        rule: how the end of the warm-up was determined, in a sentence.
        found: False if the rule gave up before the level was steady.
    """

    requests: int
    rule: str
    found: bool = True


def warm_up_end(times: Sequence[float]) -> int | None:
    """Return how many of the first `times` belong to the warm-up; None while the level still changes in the last half.

    Change-points of the level are found on the logarithms, scaled by the noise between neighbours, with a penalty of
    6 log n for each (see `edgesim.measure.change_points`). The warm-up is everything before the last change to a level
    that differs by more than 5 %.
    """
    n = len(times)
    logs = np.log(np.maximum(np.asarray(times, dtype=np.float64), 1e-9))
    signal = standardised(logs, least_noise=1e-6)
    bounds = [0, *change_points(signal, smallest=_SMALLEST_SEGMENT, penalty=_PENALTY * np.log(n)), n]
    levels = [float(np.median(logs[begin:end])) for begin, end in itertools.pairwise(bounds)]
    end = 0
    for i in range(1, len(levels)):
        if abs(levels[i] - levels[-1]) <= _NOTABLE < abs(levels[i - 1] - levels[-1]):
            end = bounds[i]
    return end if end <= n // 2 else None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The difference between the first and the second half of a run.

    Attributes:
        first, second: medians of the halves.
        p_value: probability of such a difference by chance.
    """

    first: float
    second: float
    p_value: float

    @property
    def percent(self) -> float:
        """The change from the first median to the second."""
        return 100 * (self.second / self.first - 1) if self.first else 0.0

    @property
    def notable(self) -> bool:
        """Whether the change is certain and large: with many samples any change is certain, with few any is large."""
        return self.p_value < _SIGNIFICANCE and abs(self.percent) > 100 * _NOTABLE


def drift(times: Sequence[float]) -> Drift | None:
    """Compare the first half with the second by Mann and Whitney's test; None if the sample is too small for it."""
    half = len(times) // 2
    if half < _SMALLEST_HALF:
        return None
    first, second = np.asarray(times[:half]), np.asarray(times[half:])
    return Drift(
        first=float(np.median(first)),
        second=float(np.median(second)),
        p_value=_mann_whitney(first, second),
    )


def _mann_whitney(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the probability of such a difference by chance, by the normal approximation with ties and continuity.

    `scipy.stats.mannwhitneyu` computes the same, and takes a second of CPU time to import.
    """
    from scipy.special import ndtr  # see prepare

    n, product = len(first) + len(second), len(first) * len(second)
    _, group, ties = np.unique(np.concatenate([first, second]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[group]
    smaller_pairs = ranks[: len(first)].sum() - len(first) * (len(first) + 1) / 2
    deviation = np.sqrt(product / 12 * (n + 1 - (ties**3 - ties).sum() / (n * (n - 1))))
    if deviation == 0:  # all values are the same
        return 1.0
    distance = abs(smaller_pairs - product / 2) - 0.5
    return min(2 * float(ndtr(-distance / deviation)), 1.0)
