"""Scenarios: which requests are due when, and when a run has had enough of them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SingleStream:
    """One client that sends its next request when the last one is answered (MLPerf LoadGen's SingleStream).

    The run ends when `requests` have been answered and `duration_s` have passed, both.
    """

    requests: int
    duration_s: float

    def is_over(self, *, answered: int, elapsed_s: float) -> bool:
        """Whether no other request is due, given those answered and the seconds since the first was due."""
        return answered >= self.requests and elapsed_s >= self.duration_s
