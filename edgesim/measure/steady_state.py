"""Where the warm-up ends, and whether what comes after it is steady; pure functions of times in their order."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A change of level smaller than this is not worth a word, however certain it is.
_NOTABLE = 0.05
_SIGNIFICANCE = 0.01
# Fewer samples on each side say nothing about a change between them.
_SMALLEST_HALF = 20
_SMALLEST_SEGMENT = 5
_PENALTY = 6.0
# In units of the spread: what lies farther out is an outlier.
_FAR = 4.0


def prepare() -> None:
    """Load the libraries behind this module and `statistics`: a second that is not to be spent while timing."""
    import ruptures  # noqa: F401
    import scipy.stats  # noqa: F401


def warm_up_end(times: Sequence[float]) -> int | None:
    """How many of the first `times` belong to the warm-up; None while the level still changes in the last half.

    Change-points of the level by PELT (Killick, Fearnhead and Eckley 2012) with a quadratic cost on the logarithms,
    scaled by the noise between neighbours, and a penalty of 6 log n for each. What lies before the last change to a
    level that differs by more than 5 % is warm-up.
    """
    import ruptures  # see prepare

    n = len(times)
    logs = np.log(np.maximum(np.asarray(times, dtype=np.float64), 1e-9))
    # Outliers are no levels, and no noise: what lies far out is drawn in to where the others end.
    steps = np.abs(np.diff(logs))
    noise = max(float(np.sqrt(np.mean(np.minimum(steps, _FAR * np.median(steps)) ** 2) / 2)), 1e-6)
    middle = np.median(logs)
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), noise)
    signal = np.clip(logs, middle - _FAR * spread, middle + _FAR * spread) / noise
    search = ruptures.Pelt(model="l2", min_size=_SMALLEST_SEGMENT, jump=1).fit(signal)
    bounds = [0, *search.predict(pen=_PENALTY * np.log(n))]
    levels = [float(np.median(logs[begin:end])) for begin, end in itertools.pairwise(bounds)]
    end = 0
    for i in range(1, len(levels)):
        if abs(levels[i] - levels[-1]) <= _NOTABLE < abs(levels[i - 1] - levels[-1]):
            end = bounds[i]
    return end if end <= n // 2 else None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The first half of a run against the second: medians, and how likely such a difference is by chance."""

    first: float
    second: float
    p_value: float

    @property
    def percent(self) -> float:
        return 100 * (self.second / self.first - 1) if self.first else 0.0

    @property
    def notable(self) -> bool:
        """Both certain and large: with many samples every difference is certain, with few every one is large."""
        return self.p_value < _SIGNIFICANCE and abs(self.percent) > 100 * _NOTABLE


def drift(times: Sequence[float]) -> Drift | None:
    """Mann and Whitney's test of the first half against the second; None where the sample is too small for it."""
    from scipy.stats import mannwhitneyu  # see prepare

    half = len(times) // 2
    if half < _SMALLEST_HALF:
        return None
    first, second = np.asarray(times[:half]), np.asarray(times[half:])
    return Drift(
        first=float(np.median(first)),
        second=float(np.median(second)),
        p_value=float(mannwhitneyu(first, second).pvalue),
    )
