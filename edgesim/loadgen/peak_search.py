"""The search for the highest request rate that keeps a latency limit."""

import math

# When the search ends, the rates below and above the peak differ at most by this factor.
TOLERANCE = 1.05
MOST_TRIES = 12
# From a guess that is right within a factor of 1.5: two rates around the peak, and four halvings of 1.5 to 1.05.
USUAL_TRIES = 6


class PeakSearch:
    """Proposes the next rate, and takes note of whether that rate kept the limit.

    From a first guess, the rate rises by a factor of 1.5 or falls by a factor of 2, until the peak is between a rate
    that kept the limit and a rate that did not. Then the next rate is the geometric mean of these two, until they are
    5 % apart.

    Attributes:
        peak_qps: the highest rate that kept the limit; None as long as none did.
    """

    def __init__(self, guess_qps: float) -> None:
        self.peak_qps: float | None = None
        self._failed_qps = math.inf
        self._next = guess_qps
        self._tries = 0

    def next_qps(self) -> float | None:
        """Return the rate to try; None when the search is over."""
        return self._next if self._tries < MOST_TRIES and not self._is_over() else None

    def report(self, qps: float, *, kept_limit: bool) -> None:
        """Take note of the outcome of a rate."""
        self._tries += 1
        if kept_limit:
            self.peak_qps = max(qps, self.peak_qps or 0.0)
        else:
            self._failed_qps = min(qps, self._failed_qps)
        if self.peak_qps is None:
            self._next = self._failed_qps / 2
        elif math.isinf(self._failed_qps):
            self._next = self.peak_qps * 1.5
        else:
            self._next = math.sqrt(self.peak_qps * self._failed_qps)

    def _is_over(self) -> bool:
        # A failed rate below a rate that kept the limit is noise: there is nothing between them to search.
        return self.peak_qps is not None and self._failed_qps <= self.peak_qps * TOLERANCE
