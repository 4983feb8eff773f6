"""Where the variance of a figure comes from: within a container's run, or from one container to the next."""

import math
from collections.abc import Sequence

import numpy as np

from edgesim.results.run_result import Spread


def analyse(groups: Sequence[Sequence[float]]) -> Spread | None:
    """One-way analysis of variance with random groups, of at least two that have something in them; else None.

    With n values a group (their harmonic mean where they differ), the variance within is the mean of the groups' own,
    and that between containers is the variance of the groups' means without what the scatter within puts there:
    var(means) - within / n, never below 0 (Searle, Casella and McCulloch, Variance Components, 3.6). Of single values
    there is no within.
    """
    full = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    if len(full) < 2:
        return None
    means = np.array([group.mean() for group in full])
    between = float(means.var(ddof=1))
    if any(len(group) < 2 for group in full):
        return Spread(mean=float(means.mean()), within=None, between=math.sqrt(between))
    within = float(np.mean([group.var(ddof=1) for group in full]))
    per_group = len(full) / sum(1 / len(group) for group in full)
    return Spread(
        mean=float(means.mean()), within=math.sqrt(within), between=math.sqrt(max(between - within / per_group, 0.0))
    )
