"""Whether a board keeps up with the rate at which requests arrive, or its backlog grows until the load ends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesim.recording import Sample

# Fewer answers show no trend.
_FEWEST = 30
# Answers lag behind arrivals: a board that keeps up has answered all but its last few requests when arrivals end.
# Arrivals at random make a queue that drains again; of few requests such a queue is a larger part.
_LEAST_ANSWERED, _LEAST_ANSWERED_OF_FEW = 0.95, 0.9
_FEW = 300
# A backlog that grows steadily makes the median of the last third of the requests five times that of the first third.
_GROWTH = 2.0


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How arrivals and answers of a load relate.

    Attributes:
        requests: how many were answered.
        arrived_qps: requests per second that were due.
        answered_qps: answers per second, until the last one.
        first_ms, last_ms: median latency of the first and of the last third of the requests.
    """

    requests: int
    arrived_qps: float
    answered_qps: float
    first_ms: float
    last_ms: float

    @property
    def overloaded(self) -> bool:
        """Whether the board gets more requests than it can answer: its latencies depend on the length of the load."""
        least = _LEAST_ANSWERED_OF_FEW if self.requests < _FEW else _LEAST_ANSWERED
        return self.answered_qps < least * self.arrived_qps and self.last_ms > _GROWTH * self.first_ms


def backlog(samples: Sequence[Sample]) -> Backlog | None:
    """Return the backlog of a load whose requests arrive at their own rate; None if too few were answered to tell."""
    answered = sorted((sample for sample in samples if sample.ok), key=lambda sample: sample.scheduled_ns)
    if len(answered) < _FEWEST:
        return None
    begin_ns, end_ns = answered[0].scheduled_ns, answered[-1].scheduled_ns
    done_ns = max(sample.done_ns for sample in answered)
    if end_ns <= begin_ns:
        return None
    latencies = np.array([sample.latency_ms for sample in answered])
    third = len(latencies) // 3
    return Backlog(
        requests=len(answered),
        arrived_qps=(len(answered) - 1) * 1e9 / (end_ns - begin_ns),
        answered_qps=len(answered) * 1e9 / (done_ns - begin_ns),
        first_ms=float(np.median(latencies[:third])),
        last_ms=float(np.median(latencies[-third:])),
    )
