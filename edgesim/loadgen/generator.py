"""The load generator: sends what is due when it is due, and takes the times."""

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from edgesim.loadgen.scenario import Scenario
from edgesim.recording import Sample

# How often, at most, a failed request makes the generator ask whether the device is still there.
_ALIVE_INTERVAL_NS = 500_000_000


class Completion(NamedTuple):
    """A request that is done: which (as `Transport.send` named it), when, and how."""

    token: int
    done_ns: int
    outcome: str


class Transport(Protocol):
    """Carries requests: over connections to a server, or through a test's own time."""

    def now_ns(self) -> int:
        """Its clock, monotonic."""

    def send(self, request: bytes) -> int | None:
        """Begin to send a request and name it; None when none can be taken until another is done."""

    def wait(self, until_ns: int | None) -> Sequence[Completion]:
        """Wait until a request is done, or until `until_ns` where there is such a time; what is done since."""


def drive(
    scenario: Scenario,
    transport: Transport,
    requests: Sequence[bytes],
    *,
    into: list[Sample],
    still_alive: Callable[[], bool],
    enough: Callable[[Sequence[int]], bool] = lambda latencies_ns: True,
) -> None:
    """Send request after request until the scenario's stop rule holds, or the device is gone.

    Each sample is in `into` as soon as the next wait begins, so that an interruption loses none; they stand in the
    order of their being done. Times are the transport's.

    Args:
        requests: sent in turn, over and over.
        enough: the stop rule's precision: whether these latencies will do. Asked ever more rarely as they grow.
    """
    arrivals = scenario.arrivals()
    under_way: dict[int, tuple[int, int]] = {}  # token: scheduled, sent
    done: list[tuple[int, int, Completion]] = []  # not yet written down
    latencies = array("q")
    issued, gone, ask_alive_at = 0, False, 0
    over = _Over(scenario, enough)

    def write_down() -> None:
        """The book-keeping, for when the server is at work and nobody waits for the client."""
        for scheduled, sent, completion in done:
            into.append(Sample(scheduled, sent, completion.done_ns, completion.outcome))
            latencies.append(completion.done_ns - scheduled)
        done.clear()

    with no_garbage_collection():
        begun = transport.now_ns()
        while True:
            now = transport.now_ns()
            due = None if gone else arrivals.next_due_ns(now - begun)
            if scenario.stop.precision is not None:
                write_down()  # the last answer may undo what those before it were precise enough for
            if due is not None and arrivals.may_end() and over(issued, due, now - begun, latencies):
                gone, due = True, None
            until = begun + due if due is not None else None
            if due is not None and until is not None and until <= now:
                token = transport.send(requests[issued % len(requests)])
                if token is not None:
                    under_way[token] = until, now
                    arrivals.sent(due)
                    issued += 1
                else:
                    until = None  # nothing can be sent until something is done
            else:
                write_down()
                if not under_way and until is None:
                    return
            for completion in transport.wait(until):
                done.append((*under_way.pop(completion.token), completion))
                arrivals.answered()
                if completion.outcome != "ok" and completion.done_ns >= ask_alive_at:
                    gone = gone or not still_alive()
                    ask_alive_at = transport.now_ns() + _ALIVE_INTERVAL_NS


class _Over:
    """The stop rule of a scenario."""

    def __init__(self, scenario: Scenario, enough: Callable[[Sequence[int]], bool]) -> None:
        self._stop, self._enough, self._ask_at = scenario.stop, enough, 0
        # Of an offline run everything is due at 0: the time that it has taken is the clock's.
        self._by_clock = scenario.name == "offline"
        self._seen = self._missed = 0

    def __call__(self, issued: int, due_ns: int, elapsed_ns: int, latencies: Sequence[int]) -> bool:
        elapsed_s = (elapsed_ns if self._by_clock else due_ns) / 1e9
        if self._refuted(latencies):
            return True
        if issued < self._stop.requests or elapsed_s < self._stop.duration_s:
            return False
        precision = self._stop.precision
        if precision is None or elapsed_s >= precision.limit_s:
            return True
        if len(latencies) < self._ask_at:
            return False
        self._ask_at = len(latencies) * 5 // 4  # a look at them all takes longer the more there are
        return self._enough(latencies)

    def _refuted(self, latencies: Sequence[int]) -> bool:
        misses = self._stop.misses
        if misses is None:
            return False
        new, self._seen = latencies[self._seen :], len(latencies)
        self._missed += sum(latency > misses.limit_s * 1e9 for latency in new)
        return self._missed > misses.at_most


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """A pause for collection would be taken for the server's. Within another such block it does nothing."""
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
