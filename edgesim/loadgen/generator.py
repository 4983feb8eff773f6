"""The load generator: sends each request when it is due, and takes its times."""

import gc
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from edgesim.loadgen.payload import EMPTY, Payload
from edgesim.loadgen.scenario import Scenario
from edgesim.recording import Sample

# Least time between two questions whether the board is alive; a failed request causes such a question.
_ALIVE_INTERVAL_NS = 500_000_000
_GONE = "connection: the server has ended"


class Completion(NamedTuple):
    """A request that is done: its token from `Transport.send`, the time, and the outcome.

    Attributes:
        payload: the answer, if the transport keeps answers.
    """

    token: int
    done_ns: int
    outcome: str
    payload: Payload = EMPTY


class Request(NamedTuple):
    """The bytes of a request, and the step that the request is in its sequence; None if each stands for itself."""

    content: bytes
    step: int | None = None


class Requests(Protocol):
    """The requests of a load, in their order. A request may be made of the answer to the one before it."""

    def next(self) -> Request:
        """Return the request to send next; the same one until it is sent."""

    def sent(self, token: int) -> None:
        """Take note that the request from `next` is sent."""

    def answered(self, completion: Completion) -> None:
        """Take note that a request is done.

        In a closed loop the next request is due only after this call: its time is part of no latency.
        """

    def may_end(self) -> bool:
        """Return whether the load may end now: not in the middle of a sequence."""


class InTurn:
    """Requests that each stand for themselves, sent in turn, over and over."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests, self._sent = [Request(content) for content in requests], 0

    def next(self) -> Request:
        return self._requests[self._sent % len(self._requests)]

    def sent(self, token: int) -> None:
        self._sent += 1

    def answered(self, completion: Completion) -> None:
        pass

    def may_end(self) -> bool:
        return True


class Transport(Protocol):
    """Carries requests: over connections to a server, or on the virtual clock of a test."""

    def now_ns(self) -> int:
        """Return the time of the transport's clock, which is monotonic."""

    def send(self, request: bytes) -> int | None:
        """Begin to send a request; return its token, or None if no request can be sent until another is done."""

    def wait(self, until_ns: int | None) -> Sequence[Completion]:
        """Wait until a request is done, or until `until_ns`; return the requests that are done since the last wait."""


def drive(
    scenario: Scenario,
    transport: Transport,
    requests: Sequence[bytes] | Requests,
    *,
    into: list[Sample],
    still_alive: Callable[[], bool],
    enough: Callable[[Sequence[int]], bool] = lambda latencies_ns: True,
    lost: Callable[[], bool] = lambda: False,
    while_waiting: Callable[[float], None] | None = None,
) -> None:
    """Send requests until the scenario's stop rule is met, or the board is gone; what is under way then has failed.

    Args:
        requests: bytes are sent in turn, over and over.
        into: gets a sample for each request, in the order in which the requests are done, with times of the transport's
            clock. A sample is in the list before the next wait begins, so that an interruption loses none.
        still_alive: whether the board is alive; called after failed requests.
        enough: whether these latencies, in nanoseconds, meet the precision of the stop rule. Called ever more rarely as
            their number grows.
        lost: whether the board is gone, although requests are answered, or none has failed yet; called twice a second
            while requests are under way, so it must take next to no time while the board is there.
        while_waiting: called as often as `lost`, with the seconds that the oldest request has been under way. An error
            that the function raises ends the load.
    """
    arrivals = scenario.arrivals()
    source = InTurn(requests) if isinstance(requests, Sequence) else requests
    under_way: dict[int, tuple[int, int, int | None]] = {}  # token: scheduled, sent, step
    done: list[tuple[int, int, int | None, Completion]] = []  # the same with the completion: not yet in `into`
    latencies = array("q")
    issued, over, gone = 0, False, False
    ask_alive_at = look_at = 0
    is_over = _StopCheck(scenario, enough)

    def may_end() -> bool:
        return arrivals.may_end() and source.may_end()

    def record() -> None:
        """Append the samples; called while the server works, so that no request waits for this."""
        for scheduled, sent, step, completion in done:
            into.append(Sample(scheduled, sent, completion.done_ns, completion.outcome, step))
            latencies.append(completion.done_ns - scheduled)
        done.clear()

    with no_garbage_collection():
        begun = transport.now_ns()
        look_at = begun + _ALIVE_INTERVAL_NS
        while not gone:
            now = transport.now_ns()
            due = None if over else arrivals.next_due_ns(now - begun)
            if scenario.stop.precision is not None:
                record()  # the last answer may spoil a precision that the answers before it had reached
            if due is not None and may_end() and is_over(issued, due, now - begun, latencies):
                over, due = True, None
            until = begun + due if due is not None else None
            if due is not None and until is not None and until <= now:
                request = source.next()
                token = transport.send(request.content)
                if token is not None:
                    under_way[token] = until, now, request.step
                    arrivals.sent(due)
                    source.sent(token)
                    issued += 1
                else:
                    until = None  # nothing can be sent until something is done
            else:
                record()
                if not under_way and until is None:
                    return
            waits_until = until if not under_way else look_at if until is None else min(until, look_at)
            for completion in transport.wait(waits_until):
                done.append((*under_way.pop(completion.token), completion))
                arrivals.answered()
                source.answered(completion)
                if completion.outcome != "ok" and completion.done_ns >= ask_alive_at:
                    gone = gone or not still_alive()
                    ask_alive_at = transport.now_ns() + _ALIVE_INTERVAL_NS
            if under_way and (now := transport.now_ns()) >= look_at:
                gone = gone or lost()
                if while_waiting is not None and not gone:
                    _, oldest_ns, _ = next(iter(under_way.values()))
                    while_waiting((now - oldest_ns) / 1e9)
                look_at = now + _ALIVE_INTERVAL_NS
        ended = transport.now_ns()
        done.extend((*times, Completion(token, ended, _GONE)) for token, times in under_way.items())
        record()


class _StopCheck:
    """Tells whether the stop rule of a scenario is met."""

    def __init__(self, scenario: Scenario, enough: Callable[[Sequence[int]], bool]) -> None:
        self._stop, self._enough, self._ask_at = scenario.stop, enough, 0
        # All requests of an offline run are due at 0, so its duration is taken from the clock.
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
        self._ask_at = len(latencies) * 5 // 4  # to look at all latencies takes longer the more there are
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
    """Disable garbage collection, whose pauses would look like the server's. A nested block does nothing."""
    if not gc.isenabled():
        yield
        return
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
