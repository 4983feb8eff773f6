"""A server on a clock of its own: `edgesim.loadgen.generator.Transport` without connections, and without waiting."""

import heapq
from collections.abc import Callable, Sequence

from edgesim.loadgen.generator import Completion

MS = 1_000_000


class VirtualTransport:
    """`workers` serve requests in the order of their arrival; the n-th takes `service_ms(n)`.

    Of those in `failing` the outcome is not ok. `connections` can be under way at once. Sending takes no time, unless
    `asleep` says from when until when (ms) the sender gets nothing done.
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
        assert self._under_way or until_ns is not None, "it would wait for ever"
        done = self._under_way[0][0] if self._under_way else until_ns
        assert done is not None
        self._now = max(self._now, done if until_ns is None else min(done, until_ns))
        completed = []
        while self._under_way and self._under_way[0][0] <= self._now:
            at, number, outcome = heapq.heappop(self._under_way)
            completed.append(Completion(number, at, outcome))
        return completed
