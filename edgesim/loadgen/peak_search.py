"""The search for the highest rate that holds a limit."""

import math

# The rates on either side of the peak are this close when the search ends.
TOLERANCE = 1.05
MOST_TRIES = 12


class PeakSearch:
    """Says which rate to try next, and hears whether it held the limit.

    From a first guess up by 1.5 or down by 2 until the peak lies between a rate that held and one that did not; then
    the geometric middle of the two, until they are 5 % apart.

    Attributes:
        held_qps: the highest rate that held; None as long as none did.
    """

    def __init__(self, guess_qps: float) -> None:
        self.held_qps: float | None = None
        self._failed_qps = math.inf
        self._next = guess_qps
        self._tries = 0

    def next_qps(self) -> float | None:
        """The rate to try; None when the search is over."""
        return self._next if self._tries < MOST_TRIES and not self._found() else None

    def heard(self, qps: float, *, held: bool) -> None:
        """What came of a rate."""
        self._tries += 1
        if held:
            self.held_qps = max(qps, self.held_qps or 0.0)
        else:
            self._failed_qps = min(qps, self._failed_qps)
        if self.held_qps is None:
            self._next = self._failed_qps / 2
        elif math.isinf(self._failed_qps):
            self._next = self.held_qps * 1.5
        else:
            self._next = math.sqrt(self.held_qps * self._failed_qps)

    def _found(self) -> bool:
        # A rate that once failed and lies below one that held is noise; there is nothing between them to be searched.
        return self.held_qps is not None and self._failed_qps <= self.held_qps * TOLERANCE
