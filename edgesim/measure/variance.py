"""Where the variance of a figure comes from: from within a container's run, or from one container to the next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Variance:
    """The mean of a figure and its standard deviations.

    Attributes:
        mean: of the containers' means.
        within: standard deviation within one container's run; None if a container gave a single value.
        between: standard deviation between containers, without the part that the scatter within the runs puts into
            their means.
    """

    mean: float
    within: float | None
    between: float


def analyse(groups: Sequence[Sequence[float]]) -> Variance | None:
    """Return the one-way analysis of variance with random groups; None for fewer than two groups that have values.

    The variance within is the mean of the groups' own variances. The variance between containers is the variance of
    the groups' means without the scatter that the variance within puts there: var(means) - within / n, never below 0,
    with n values in each group, or the harmonic mean of their sizes if these differ (Searle, Casella and McCulloch,
    Variance Components, 3.6).
    """
    filled = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    if len(filled) < 2:
        return None
    means = np.array([group.mean() for group in filled])
    between = float(means.var(ddof=1))
    if any(len(group) < 2 for group in filled):
        return Variance(mean=float(means.mean()), within=None, between=math.sqrt(between))
    within = float(np.mean([group.var(ddof=1) for group in filled]))
    per_group = len(filled) / sum(1 / len(group) for group in filled)
    return Variance(
        mean=float(means.mean()), within=math.sqrt(within), between=math.sqrt(max(between - within / per_group, 0.0))
    )
