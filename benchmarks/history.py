"""How often a history finds a planted step of 3 % under 1 % noise, and how often it finds one where there is none.

Each series has 200 results, and its step lies anywhere but in the first and the last twenty. The noise is normal on the
logarithm, with a standard deviation of 1 %; or, for comparison, uniform within ±1 %.
"""

import math
import statistics
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgesim.histories import steps

RESULTS, SERIES, CHANGE, DEVIATION = 200, 200, 0.03, 0.01
NOISES: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "normal, standard deviation 1 %": lambda generator: generator.normal(0, DEVIATION, RESULTS),
    "uniform, ±1 %": lambda generator: generator.uniform(-0.01, 0.01, RESULTS),
}


def most_exact(deviations: float) -> float:
    """Return the probability that the most likely place of a step is the right one, which no method exceeds.

    Around the right place the logarithm of the likelihood is a random walk to each side, with normal steps of mean
    -d²/2 and variance d² for a step of d standard deviations. The right place is the most likely one if neither walk
    ever rises above 0: with the probability exp(-sum of P(walk above 0 after n)/n) for each (Spitzer 1956, A
    combinatorial lemma and its application to probability theory; for change points Hinkley 1970, Inference about the
    change-point in a sequence of random variables). The levels are taken as known, which only helps.
    """
    normal = statistics.NormalDist()
    return math.exp(-2 * sum(normal.cdf(-deviations * math.sqrt(n) / 2) / n for n in range(1, RESULTS)))


def main() -> None:
    print(
        "| noise | one step found | right revision in the named range | revisions in it | exact | steps in flat ones |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for noise, draw in NOISES.items():
        one = exact = within = alarms = 0
        widths = []
        for seed in range(SERIES):
            generator = np.random.default_rng(seed)
            at = int(generator.integers(20, RESULTS - 20))
            flat = 50 * np.exp(draw(generator))
            planted = flat * np.where(np.arange(RESULTS) >= at, 1 + CHANGE, 1)
            found = steps.find(planted.tolist())
            one += len(found) == 1
            exact += any(span.at == at for span in found)
            within += any(span.first <= at <= span.last for span in found)
            widths += [span.last - span.first + 1 for span in found]
            alarms += bool(steps.find(flat.tolist()))
        found_one, in_range, at_it, false = (f"{count} of {SERIES}" for count in (one, within, exact, alarms))
        print(f"| {noise} | {found_one} | {in_range} | {statistics.mean(widths):.1f} on average | {at_it} | {false} |")
    deviations = math.log(1 + CHANGE) / DEVIATION
    enough = next(tenths / 10 for tenths in range(1, 100) if most_exact(tenths / 10) >= 0.95)
    share, noise_percent = most_exact(deviations), 100 * math.log(1 + CHANGE) / enough
    print(
        f"\nUnder the normal noise no method names the right revision in more than {share:.0%} of series, since results"
    )
    print(f"beside a step of {deviations:.1f} standard deviations look like those of the other level. For 19 of 20 the")
    print(f"step must have {enough:.1f} standard deviations: noise of {noise_percent:.2f} %.")


if __name__ == "__main__":
    main()
