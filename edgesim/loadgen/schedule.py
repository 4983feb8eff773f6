"""Arrivals: the times at which requests are due, from a seed, a rate and the answers so far.

There is no clock and no connection in this module. All times are nanoseconds since the load began.
"""

import random
from collections.abc import Iterator
from typing import Protocol


def poisson(qps: float, seed: int) -> Iterator[int]:
    """Yield arrival times of a Poisson process of `qps` requests per second, from 0 on, without end.

    The gaps between arrivals are exponential with mean 1/`qps` (MLPerf LoadGen's Server scenario). The same seed gives
    the same times on any machine.
    """
    gaps = random.Random(seed)  # noqa: S311 (not a secret: a schedule that can be repeated)
    due_s = 0.0
    while True:
        yield round(due_s * 1e9)
        due_s += gaps.expovariate(qps)


class Arrivals(Protocol):
    """Says when the next request is due, and takes note of requests that are sent and answered."""

    def next_due_ns(self, now_ns: int) -> int | None:
        """Return when the next request is due; None if that depends on an answer that is still to come."""

    def sent(self, due_ns: int) -> None:
        """Take note that the request that was due at `due_ns` is sent."""

    def answered(self) -> None:
        """Take note that a request is done, successful or not."""

    def may_end(self) -> bool:
        """Return whether the run may end now: not in the middle of a query."""


class ClosedLoop:
    """`clients` concurrent loops, each with its next request due when its last request is answered.

    One loop is LoadGen's SingleStream scenario. A closed loop is never late: a request is due when its client is ready
    to send it.
    """

    def __init__(self, clients: int = 1) -> None:
        self._free = clients

    def next_due_ns(self, now_ns: int) -> int | None:
        return now_ns if self._free else None

    def sent(self, due_ns: int) -> None:
        self._free -= 1

    def answered(self) -> None:
        self._free += 1

    def may_end(self) -> bool:
        return True


class MultiStream:
    """Queries of `samples_per_query` requests that are due together, each query when the one before is answered."""

    def __init__(self, samples_per_query: int) -> None:
        self._samples_per_query = samples_per_query
        self._due_ns: int | None = None
        self._to_send = self._to_answer = samples_per_query

    def next_due_ns(self, now_ns: int) -> int | None:
        if not self._to_send:
            return None
        return self._due_ns if self._due_ns is not None else now_ns

    def sent(self, due_ns: int) -> None:
        self._due_ns = due_ns
        self._to_send -= 1

    def answered(self) -> None:
        self._to_answer -= 1
        if not self._to_answer:
            self._due_ns = None
            self._to_send = self._to_answer = self._samples_per_query

    def may_end(self) -> bool:
        return self._to_send == self._samples_per_query


class OpenLoop:
    """Requests due at the times of a schedule, whether earlier ones are answered or not: LoadGen's Server scenario."""

    def __init__(self, schedule: Iterator[int]) -> None:
        self._schedule = schedule
        self._next = next(schedule)

    def next_due_ns(self, now_ns: int) -> int | None:
        return self._next

    def sent(self, due_ns: int) -> None:
        self._next = next(self._schedule)

    def answered(self) -> None:
        pass

    def may_end(self) -> bool:
        return True


class AllAtOnce:
    """All requests due at 0, `clients` of them concurrent: LoadGen's Offline scenario over connections."""

    def __init__(self, clients: int) -> None:
        self._free = clients

    def next_due_ns(self, now_ns: int) -> int | None:
        return 0 if self._free else None

    def sent(self, due_ns: int) -> None:
        self._free -= 1

    def answered(self) -> None:
        self._free += 1

    def may_end(self) -> bool:
        return True
