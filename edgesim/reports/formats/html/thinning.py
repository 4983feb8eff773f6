"""Thin out very many requests or readings to few points, so that a page opens at once.

Every point that is drawn was measured. Pure functions.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.recording import Reading

# Up to this number, requests are drawn one by one; more are drawn as columns.
MOST_SINGLE = 2000
_COLUMNS = 600
_CURVE_POINTS = 300
_MOST_BINS = 80
_MOST_READINGS = 1500

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """The shortest, the median and the longest of all requests that were due within each column of `width_s` seconds.

    Arrays of shape (columns,); `at_s` is a column's middle. A column without a request is left out.
    """

    width_s: float
    at_s: Floats
    least: Floats
    median: Floats
    largest: Floats

    def split(self, starts_s: Sequence[float]) -> list["Columns"]:
        """Return parts, of which each but the first begins at one of `starts_s`.

        No request was due between two containers, so nothing may be drawn across.
        """
        at = np.searchsorted(self.at_s + self.width_s / 2, starts_s, side="right")
        parts = zip(*(np.split(part, at) for part in (self.at_s, self.least, self.median, self.largest)), strict=True)
        return [Columns(self.width_s, *part) for part in parts if len(part[0])]


def columns(at_s: Floats, values: Floats, *, most: int = _COLUMNS) -> Columns:
    """Return columns of equal width over the whole time; every request lies in exactly one.

    Raises:
        ValueError: there is no request to draw.
    """
    first, last = float(at_s.min()), float(at_s.max())
    width = (last - first) / most or 1.0
    which = np.minimum(((at_s - first) / width).astype(int), most - 1)
    # Ordered by column, and within a column by value, so that its ends and its middle can be picked.
    order = np.lexsort((values, which))
    which, ordered = which[order], values[order]
    names, begins, counts = np.unique(which, return_index=True, return_counts=True)
    return Columns(
        width_s=width,
        at_s=first + (names + 0.5) * width,
        least=ordered[begins],
        median=ordered[begins + (counts - 1) // 2],
        largest=ordered[begins + counts - 1],
    )


def curve(values: Floats, failed: int) -> tuple[Floats, Floats]:
    """Return shares of all requests (0 to below 1), and the time that each share did not exceed.

    The times are order statistics, without interpolation. The shares are evenly spaced on an axis on which every
    further nine (90 %, 99 %, 99.9 %) is as long as the one before. A failed request counts as infinitely long: the
    curve ends before it.
    """
    count = len(values) + failed
    ordered = np.sort(values)
    nines = np.linspace(0, math.log10(count), _CURVE_POINTS) if count > 1 else np.zeros(1)
    ranks = np.unique(np.clip(np.floor(count * (1 - 10.0**-nines)).astype(int) + 1, 1, count))
    ranks[-1] = count
    ranks = ranks[ranks <= len(ordered)]
    return (ranks - 0.5) / count, ordered[ranks - 1]


def edges(values: Floats) -> tuple[Floats, bool]:
    """Return the borders of a distribution's bins, and whether they are spaced by a factor, as a long tail needs."""
    low, high = float(values.min()), float(values.max())
    if high == low:
        return np.array([low * 0.95, high * 1.05]) if high else np.array([0.0, 1.0]), False
    bins = min(_MOST_BINS, max(8, round(2 * len(values) ** 0.5)))
    if low > 0 and high / low > 8:
        return np.geomspace(low, high, bins + 1), True
    return np.linspace(low, high, bins + 1), False


def by_container(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Return the readings of each container: a CPU counter that went down belongs to the next one."""
    parts: list[list[Reading]] = []
    for reading in readings:
        last = parts[-1][-1] if parts else None
        restarted = last is not None and (reading.cpu_seconds or 0) < (last.cpu_seconds or 0)
        if last is None or restarted:
            parts.append([])
        parts[-1].append(reading)
    return [_fewer(part, math.ceil(len(readings) / _MOST_READINGS)) for part in parts]


def _fewer(readings: list[Reading], step: int) -> list[Reading]:
    """Return every n-th reading and the last one, with n = `step`.

    Counters lose nothing by a longer step. Memory is the largest of the step, so that no peak is lost.
    """
    if step <= 1:
        return readings
    kept = [readings[0]]
    for first in range(1, len(readings), step):
        part = readings[first : first + step]
        largest: dict[str, Any] = {
            name: max((value for reading in part if (value := getattr(reading, name)) is not None), default=None)
            for name in ("memory_bytes", "memory_anon_bytes")
        }
        kept.append(part[-1]._replace(**largest))
    return kept


def rates(readings: Sequence[Reading], name: str) -> list[float | None]:
    """Return how much a counter of seconds grew since the reading before, in percent of that time; None if unknown."""
    percents: list[float | None] = [None] if readings else []
    for before, after in itertools.pairwise(readings):
        passed_s = (after.at_ns - before.at_ns) / 1e9
        ends = getattr(before, name), getattr(after, name)
        known = None not in ends and passed_s > 0
        percents.append(100 * (ends[1] - ends[0]) / passed_s if known else None)
    return percents
