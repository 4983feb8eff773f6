"""Where the level of a series of figures changes: the division into segments that fits best, found exactly.

The figures are the times of a warm-up, or those of a history. The library ruptures finds the same places, and a test
compares both. edgesim does not depend on ruptures: ruptures imports scipy.stats, which takes 0.7 s of CPU time, and a
run has no moment for that, since a run measures what it waits for; and Python 3.14 has to compile ruptures.
"""

import numpy as np
from numpy.typing import NDArray

# A value farther from the median than this many standard deviations is an outlier.
_FAR = 4.0


def standardised(values: NDArray[np.float64], *, least_noise: float) -> NDArray[np.float64]:
    """Return figures in units of their noise, with outliers moved in: they are neither levels nor noise.

    The noise is that between neighbours, which a change of the level does not enlarge.

    Args:
        values: shape (n,), n at least 2.
        least_noise: the noise of figures that hardly scatter, so that a change of rounding is no change of the level.
    """
    steps = np.abs(np.diff(values))
    noise = max(float(np.sqrt(np.mean(np.minimum(steps, _FAR * np.median(steps)) ** 2) / 2)), least_noise)
    median = np.median(values)
    deviation = max(1.4826 * float(np.median(np.abs(values - median))), noise)
    clipped: NDArray[np.float64] = np.clip(values, median - _FAR * deviation, median + _FAR * deviation) / noise
    return clipped


def change_points(signal: NDArray[np.float64], *, smallest: int, penalty: float) -> list[int]:
    """Return the indices at which the level of a signal changes, in their order.

    The segments have the least sum of squared deviations from their means, plus a penalty for each segment. They are
    found by optimal partitioning (Jackson and others 2005, An algorithm for optimal partitioning of data on an
    interval), whose time grows with the square of the length: 20 ms for 1,000 values.

    Args:
        signal: the values in their order, of any unit.
        smallest: the least number of values in a segment.
        penalty: what a segment costs, in squares of the signal's unit.
    """
    n = len(signal)
    centred = signal - signal.mean()  # sums of squares of values far from 0 would lose digits
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    least = np.full(n + 1, np.inf)  # the cost of the best division of the first values
    least[0] = 0
    begins = np.zeros(n + 1, dtype=np.int64)  # where the last segment of that division begins
    for end in range(smallest, n + 1):
        lengths = np.arange(end, smallest - 1, -1)
        candidates = len(lengths)
        deviations = squares[end] - squares[:candidates] - (sums[end] - sums[:candidates]) ** 2 / lengths
        costs = least[:candidates] + deviations
        begins[end] = np.argmin(costs)
        least[end] = costs[begins[end]] + penalty
    points = []
    while (n := int(begins[n])) > 0:
        points.append(n)
    return points[::-1]
