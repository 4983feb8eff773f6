"""Two sides that ran interleaved, round by round: how a figure differs, how sure that is, and when to look.

Each round has fresh containers of both sides, and gives one logarithm of a ratio, candidate to base. What the host does
meanwhile is in both sides and cancels; how a container happens to come out (its memory's layout, its threads' places)
is in the scatter between rounds, so Student's paired t on the logarithms holds for the next containers, too (Kalibera
and Jones, Rigorous Benchmarking in Reasonable Time, 2013; Georges et al., 2007). Where both sides are alike they could
change places, so the logarithms are symmetric, whatever else the host does.

A round in which something else had the host to itself makes that interval wide. Once there are rounds enough, a second
one stands beside it that some such rounds do not move: between two of the ordered logarithms, for the median, by the
sign test (Conover, Practical Nonparametric Statistics, 3.2). Each takes half of what may go wrong, so the truth is in
both, and the interval is what they have in common.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Figures = Sequence[float] | NDArray[np.float64]

# How often a gate may be wrong, in all its looks and rules together, with either verdict: see `tail`.
FALSE_VERDICTS = 1 / 300
FEWEST_ROUNDS, MOST_ROUNDS = 5, 20
_STEP = 1.6
# An identical model is to pass with this probability, at the last look, a rule that is not refused.
_POWER = 0.95
# Of the scatter that a probe has found, the end above the truth four times in five.
_SCATTER_CONFIDENCE = 0.8


def looks(most: int = MOST_ROUNDS) -> tuple[int, ...]:
    """After how many rounds the rules are looked at: ever more rarely, and last after `most`."""
    found, rounds = [], FEWEST_ROUNDS
    while rounds * math.sqrt(_STEP) < most:
        found.append(rounds)
        rounds = int(rounds * _STEP)
    return (*found, most)


def tail(looks: int, rules: int = 1) -> float:
    """The error that one look at one rule may make on either side.

    What may go wrong in all is spent in equal parts over the looks that are planned (Slud and Wei 1982; Lan and DeMets,
    Discrete Sequential Boundaries for Clinical Trials, 1983) and over the rules. By Boole's inequality the parts add up
    to no more than the whole, however the looks and the rules depend on each other: one may stop at any of them.
    """
    return FALSE_VERDICTS / (looks * rules)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A change (candidate over base, less 1) by paired rounds.

    Attributes:
        change, low, high: the mean ratio, and the interval of what the ratio is; the median in place of a mean that
            some rounds have pulled out of it.
        mean: of the logarithms.
        median: of the rounds, which no single one of them can move far.
        scatter: standard deviation of the logarithms.
        effect_size: their mean over their standard deviation (Cohen's d for pairs); None without scatter.
        more: rounds in which the candidate had the larger figure.
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
        """How likely a mean this far beyond `limit` (or farther) would be, were the true one at `limit`; one-sided, by
        the t-test alone.

        Beyond is on the side of 0 that `limit` is on.
        """
        from scipy.special import stdtr

        beyond = self.mean - math.log1p(limit)
        if limit < 0:
            beyond = -beyond
        if self.scatter == 0:
            return 0.0 if beyond > 0 else 1.0
        return float(stdtr(self.rounds - 1, -beyond / (self.scatter / math.sqrt(self.rounds))))


def estimate(base: _Figures, candidate: _Figures, tail: float) -> Estimate | None:
    """From each round's figures; `tail` is what lies beyond either end of the interval.

    None where the rounds are too few, or a figure is none that has a ratio.
    """
    from scipy.special import stdtrit  # a tenth of a second to import

    if len(base) != len(candidate) or len(base) < FEWEST_ROUNDS:
        return None
    ours, theirs = np.asarray(base, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    if not (np.all(np.isfinite(ours)) and np.all(np.isfinite(theirs)) and np.all(ours > 0) and np.all(theirs > 0)):
        return None
    ratios = np.log(theirs / ours)
    rounds, mean, scatter = len(ratios), float(ratios.mean()), float(ratios.std(ddof=1))
    beyond = _beyond(rounds, tail)
    half = float(stdtrit(rounds - 1, 1 - (tail / 2 if beyond else tail))) * scatter / math.sqrt(rounds)
    low, high = mean - half, mean + half
    if beyond:
        ordered = np.sort(ratios)
        # Where a few rounds pull the mean far away the two may have nothing in common: then nothing is known.
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
    """How many of the ordered rounds lie beyond either end of the sign test's interval; 0 where it is of no use.

    With so many rounds it takes half of `tail`.
    """
    from scipy.special import bdtr

    found = 0
    while found + 1 < rounds // 2 and float(bdtr(found, rounds, 0.5)) <= tail / 2:
        found += 1
    return max(found - 1, 0)


def smallest_visible(scatter: float, probed: int, most: int = MOST_ROUNDS, rules: int = 1) -> float:
    """The smallest change that a gate can tell from none: an identical model passes such a rule 19 times in 20.

    By the last look the interval's upper end must lie below the limit, where the mean itself scatters by Student's t:
    (t[1 - tail] + t[0.95]) s / sqrt(n), with the 80 % upper confidence limit of the scatter (chi-square).

    Args:
        scatter: standard deviation of the logarithms of `probed` rounds of one model against itself.
    """
    from scipy.special import chdtri, stdtrit

    freedom = probed - 1
    largest = scatter * math.sqrt(freedom / float(chdtri(freedom, _SCATTER_CONFIDENCE)))
    error = tail(len(looks(most)), rules)
    error = error / 2 if _beyond(most, error) else error
    reach = float(stdtrit(most - 1, 1 - error)) + float(stdtrit(most - 1, _POWER))
    return math.expm1(reach * largest / math.sqrt(most))
