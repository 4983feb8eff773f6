"""The statistics of a paired run: the change between two sides, its confidence interval, and when to look.

Each round has fresh containers for both sides and gives one number: the logarithm of the ratio of candidate to base.
What the host does during a round affects both sides and cancels. What differs from container to container (the layout
of memory, the placement of threads) is in the scatter between rounds, so Student's paired t-test on the logarithms
holds for the next containers, too (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, 2013; Georges et al.,
2007). If both sides are alike they could change places, so the logarithms are symmetric, whatever else the host does.

A round in which another program took the host makes this interval wide. With enough rounds, a second interval is
computed that a few such rounds do not move: for the median, between two of the ordered logarithms, by the sign test
(Conover, Practical Nonparametric Statistics, 3.2). Each of the two gets half of the permitted error, so the truth is in
both, and the interval is their intersection.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Figures = Sequence[float] | NDArray[np.float64]

# How often a gate may be wrong with either verdict, in all its looks and rules together: see `tail`.
FALSE_VERDICTS = 1 / 300
FEWEST_ROUNDS, MOST_ROUNDS = 5, 20
_STEP = 1.6
# The probability with which an identical model passes, at the last look, a rule that is not refused.
_POWER = 0.95
# The confidence of the upper limit for the scatter that a noise probe measured: above the truth four times in five.
_SCATTER_CONFIDENCE = 0.8


def looks(most: int = MOST_ROUNDS) -> tuple[int, ...]:
    """Return the numbers of rounds after which the rules are looked at: ever more rarely, and last after `most`."""
    early, rounds = [], FEWEST_ROUNDS
    while rounds * math.sqrt(_STEP) < most:
        early.append(rounds)
        rounds = int(rounds * _STEP)
    return (*early, most)


def tail(looks: int, rules: int = 1) -> float:
    """Return the probability of an error, on either side, that one look at one rule may have.

    The permitted error is spent in equal parts over the planned looks (Slud and Wei 1982; Lan and DeMets, Discrete
    Sequential Boundaries for Clinical Trials, 1983) and over the rules. By Boole's inequality the parts add up to no
    more than the total, however the looks and the rules depend on each other: the run may stop at any look.
    """
    return FALSE_VERDICTS / (looks * rules)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A change (candidate over base, less 1) by paired rounds.

    Attributes:
        change, low, high: the change by the mean ratio, and its confidence interval; the median takes the place of a
            mean that a few rounds pulled out of the interval.
        mean: the mean of the logarithms.
        median: the change by the median round, which no single round can move far.
        scatter: the standard deviation of the logarithms.
        effect_size: the mean of the logarithms over their standard deviation (Cohen's d for pairs); None without
            scatter.
        rounds: the number of rounds.
        more: the number of rounds in which the candidate had the larger figure.
    """

    change: float
    low: float
    high: float
    mean: float
    median: float
    scatter: float
    effect_size: float | None
    rounds: int
    more: int

    def p_value(self, limit: float) -> float:
        """Return the probability of a mean at least this far beyond `limit` if the true mean were at `limit`.

        One-sided, by the t-test alone. Beyond means farther from 0 than `limit`, on the same side.
        """
        from scipy.special import stdtr

        beyond = self.mean - math.log1p(limit)
        if limit < 0:
            beyond = -beyond
        if self.scatter == 0:
            return 0.0 if beyond > 0 else 1.0
        return float(stdtr(self.rounds - 1, -beyond / (self.scatter / math.sqrt(self.rounds))))


def estimate(base: _Figures, candidate: _Figures, tail: float) -> Estimate | None:
    """Estimate the change from the figures of each round; `tail` is the probability beyond either end of the interval.

    Return None if there are too few rounds, or if a figure is not positive and finite and so has no ratio.
    """
    from scipy.special import stdtrit  # imported here because the import takes a tenth of a second

    if len(base) != len(candidate) or len(base) < FEWEST_ROUNDS:
        return None
    sides = np.asarray((base, candidate), dtype=np.float64)
    if not np.all(np.isfinite(sides) & (sides > 0)):
        return None
    ratios = np.log(sides[1] / sides[0])
    rounds, mean, scatter = len(ratios), float(ratios.mean()), float(ratios.std(ddof=1))
    beyond = _beyond(rounds, tail)
    half = float(stdtrit(rounds - 1, 1 - (tail / 2 if beyond else tail))) * scatter / math.sqrt(rounds)
    low, high = mean - half, mean + half
    if beyond:
        ordered = np.sort(ratios)
        # If a few rounds pull the mean far away, the two intervals may not meet: then take all that either allows.
        inner = max(low, float(ordered[beyond])), min(high, float(ordered[-1 - beyond]))
        low, high = inner if inner[0] <= inner[1] else (min(low, float(ordered[0])), max(high, float(ordered[-1])))
    median = float(np.median(ratios))
    return Estimate(
        change=math.expm1(mean if low <= mean <= high else median),
        low=math.expm1(low),
        high=math.expm1(high),
        mean=mean,
        median=math.expm1(median),
        scatter=scatter,
        effect_size=mean / scatter if scatter else None,
        rounds=rounds,
        more=int(np.sum(ratios > 0)),
    )


def _beyond(rounds: int, tail: float) -> int:
    """Return how many of the ordered rounds lie beyond either end of the sign test's interval.

    The sign test gets half of `tail`. 0 if there are too few rounds for it to be of use.
    """
    from scipy.special import bdtr

    beyond = 0
    while beyond + 1 < rounds // 2 and float(bdtr(beyond, rounds, 0.5)) <= tail / 2:
        beyond += 1
    return max(beyond - 1, 0)


def smallest_visible(scatter: float, probed: int, most: int = MOST_ROUNDS, rules: int = 1) -> float:
    """Return the smallest change that a gate can tell from none: an identical model passes such a rule 19 times in 20.

    At the last look the upper end of the interval must lie below the limit, and the mean itself scatters by Student's
    t: the change is (t[1 - tail] + t[0.95]) s / sqrt(n), with s the 80 % upper confidence limit of the scatter
    (chi-square) and n = `most`.

    Args:
        scatter: the standard deviation of the logarithms of `probed` rounds of one model against itself.
    """
    from scipy.special import chdtri, stdtrit

    freedom = probed - 1
    largest = scatter * math.sqrt(freedom / float(chdtri(freedom, _SCATTER_CONFIDENCE)))
    error = tail(len(looks(most)), rules)
    error = error / 2 if _beyond(most, error) else error
    reach = float(stdtrit(most - 1, 1 - error)) + float(stdtrit(most - 1, _POWER))
    return math.expm1(reach * largest / math.sqrt(most))
