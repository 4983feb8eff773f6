"""A server on a virtual clock: an `edgesim.loadgen.generator.Transport` without connections and without waiting."""

import heapq
from collections.abc import Callable, Sequence

from edgesim.loadgen.generator import Completion

MS = 1_000_000


class VirtualTransport:
    """A server with `workers`, which serve requests in the order of their arrival.

    Args:
        service_ms: the service time of the n-th request, counted from 0.
        connections: concurrent requests at most.
        failing: the requests that fail.
        asleep: begin and end, in ms, of a time in which the sender sleeps; sending takes no time otherwise.

    Attributes:
        seen: the requests in the order in which they were sent.
        most_under_way: the largest number of concurrent requests.
    """

    def __init__(
        self,
        service_ms: Callable[[int], float],
        *,
        workers: int = 1,
        connections: int = 512,
        failing: Sequence[int] = (),
        asleep: tuple[float, float] | None = None,
    ) -> None:
        self.begun_ns = self._now = 5_000 * MS
        self.seen: list[bytes] = []
        self.most_under_way = 0
        self._service_ms, self._failing = service_ms, set(failing)
        self._free_at = [self._now] * workers
        self._connections = connections
        self._under_way: list[tuple[int, int, str]] = []
        self._asleep = tuple(self.begun_ns + t * MS for t in asleep) if asleep else (0, 0)

    def now_ns(self) -> int:
        if self._asleep[0] <= self._now < self._asleep[1]:
            self._now = int(self._asleep[1])
        return self._now

    def send(self, request: bytes) -> int | None:
        if len(self._under_way) >= self._connections:
            return None
        number = len(self.seen)
        self.seen.append(request)
        begin = max(self._now, heapq.heappop(self._free_at))
        done = begin + round(self._service_ms(number) * MS)
        heapq.heappush(self._free_at, done)
        outcome = "connection: reset" if number in self._failing else "ok"
        heapq.heappush(self._under_way, (done, number, outcome))
        self.most_under_way = max(self.most_under_way, len(self._under_way))
        return number

    def wait(self, until_ns: int | None) -> Sequence[Completion]:
        assert self._under_way or until_ns is not None, "nothing to wait for"
        done = self._under_way[0][0] if self._under_way else until_ns
        assert done is not None
        self._now = max(self._now, done if until_ns is None else min(done, until_ns))
        completed = []
        while self._under_way and self._under_way[0][0] <= self._now:
            at, number, outcome = heapq.heappop(self._under_way)
            completed.append(Completion(number, at, outcome))
        return completed
