"""When requests are due: pure functions of a seed, a rate and what has been answered. No clock, no connection.

All times are nanoseconds since the load began.
"""

import random
from collections.abc import Iterator
from typing import Protocol


def poisson(qps: float, seed: int) -> Iterator[int]:
    """Arrival times of a Poisson process of `qps` requests a second, from 0 on, without end.

    The gaps between arrivals are exponential with mean 1/`qps` (MLPerf LoadGen's Server scenario). The same seed gives
    the same times, on any machine.
    """
    gaps = random.Random(seed)  # noqa: S311 (no secret: a schedule that can be repeated)
    due_s = 0.0
    while True:
        yield round(due_s * 1e9)
        due_s += gaps.expovariate(qps)


class Arrivals(Protocol):
    """Says when the next request is due, and hears what has become of those before."""

    def next_due_ns(self, now_ns: int) -> int | None:
        """When the next request is due; None when that hangs on an answer that is still to come."""

    def sent(self, due_ns: int) -> None:
        """The request that was due at `due_ns` is under way."""

    def answered(self) -> None:
        """One of the requests is done, well or badly."""

    def may_end(self) -> bool:
        """Whether the run may stop asking here: not in the middle of a query."""


class ClosedLoop:
    """`clients` clients, each with its next request due as soon as its last one is answered.

    With one it is LoadGen's SingleStream. There is no time by which a closed loop is late: a request is due when its
    client turns to it.
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
    """Queries of `samples` requests that are due together; the next query when the whole last one is answered."""

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._due_ns: int | None = None
        self._to_send = self._to_answer = samples

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
            self._to_send = self._to_answer = self._samples

    def may_end(self) -> bool:
        return self._to_send == self._samples


class OpenLoop:
    """Requests due at the times of a schedule, whatever has become of those before: LoadGen's Server scenario."""

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
    """Everything due at 0, `clients` requests under way at a time: LoadGen's Offline scenario over connections."""

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
