"""A load session: requests to one server, and what the load generator and other programs took of this host meanwhile.

Runs, stacks and paired runs all send their requests through `LoadSession` and account for them with `LoadMeter`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgesim.host import stops
from edgesim.host.host_load import HostCounters, HostLoad
from edgesim.host.priority import real_time_priority
from edgesim.loadgen import generator
from edgesim.loadgen.endpoint import Endpoint, LoadTransport
from edgesim.loadgen.generator import InTurn, Requests
from edgesim.loadgen.scenario import Scenario, closed_loop
from edgesim.measure import statistics
from edgesim.recording import Sample
from edgesim.results.sections import GeneratorSection

# A request of a busy host can take as much longer by itself.
_SHORTEST_STOP_S = 0.1

# Keeps the samples of a load on disk while the load runs.
Keeping = Callable[[Sequence[Sample]], AbstractContextManager[None]]


class Sent(NamedTuple):
    """How requests were sent: over how many connections at a time, and with real-time priority or not."""

    connections: int = 0
    real_time: bool = False


class LoadSession:
    """Requests to one server.

    Args:
        endpoint: where the server answers, and by which protocol.
        requests: the bytes of whole requests, which are sent in turn; or a function that begins a sequence of
            requests, each made of the answer before it, for a number of clients.
        timeout_s: a request without an answer after this many seconds has failed.
        is_alive: asked after a failed request: can the next one succeed?
        is_lost: asked twice a second, and quick: is the server known to have ended?

    Attributes:
        stopped_s: how much longer requests took because a signal stopped edgesim meanwhile.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        requests: Sequence[bytes] | Callable[[int], Requests],
        *,
        timeout_s: float,
        is_alive: Callable[[], bool],
        is_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self._endpoint, self._timeout_s = endpoint, timeout_s
        self._is_alive, self._is_lost = is_alive, is_lost
        self._keeps_answers = not isinstance(requests, Sequence)
        self._begin: Callable[[int], Requests]
        self._begin = requests if not isinstance(requests, Sequence) else lambda _: InTurn(requests)
        self._of_turns: Requests | None = None
        self.stopped_s = 0.0

    def connect(self, connections: int, into: list[Sample]) -> LoadTransport | None:
        """Connect to the server; a server that has died since its last answer is a failed request in `into`."""
        now = time.monotonic_ns()
        try:
            return self._endpoint.transport(
                connections=connections, timeout_s=self._timeout_s, keeps_answers=self._keeps_answers
            )
        except OSError as error:
            into.append(Sample(now, now, time.monotonic_ns(), f"connection: {type(error).__name__}"))
            return None

    def send(self, scenario: Scenario, into: list[Sample]) -> Sent:
        """Send the requests of a scenario over connections of its own, and append a sample for each to `into`."""
        transport = self.connect(scenario.connections, into)
        if transport is None:
            return Sent()
        with transport, real_time_priority() as real_time:
            self._drive(transport, scenario, self._begin(scenario.clients), into)
            return Sent(transport.most_open, real_time)

    def take_turn(self, transport: generator.Transport, count: int, into: list[Sample]) -> None:
        """Send `count` requests one at a time over an open connection; the next turn continues where this one ends."""
        if self._of_turns is None:
            self._of_turns = self._begin(1)
        self._drive(transport, closed_loop(count), self._of_turns, into)

    def _drive(
        self, transport: generator.Transport, scenario: Scenario, requests: Requests, into: list[Sample]
    ) -> None:
        precision = scenario.stop.precision

        def enough(latencies_ns: Sequence[int]) -> bool:
            assert precision is not None, "only a scenario with a precision asks"
            return statistics.is_precise(np.asarray(latencies_ns), precision.percentile, precision.percent)

        before = len(into)
        with stops.noted() as continued_ns:
            generator.drive(
                scenario,
                transport,
                requests,
                into=into,
                still_alive=self._is_alive,
                enough=enough,
                lost=self._is_lost,
                while_waiting=self._endpoint.while_waiting,
            )
        if continued_ns:
            self.stopped_s += lengthened_s(into, before, continued_ns, offline=scenario.name == "offline")


def lengthened_s(samples: Sequence[Sample], begin: int, continued_ns: Sequence[int], *, offline: bool) -> float:
    """Return how much longer than the median requests took that were under way when edgesim was continued, added up.

    A process that is told to continue need not have been stopped, and a short stop changes nothing: less than
    `_SHORTEST_STOP_S` is none. Offline, all requests are due at the beginning: a request then counts from its sending.

    Args:
        begin: number of the first sample that can have been under way; the median is that of all.
        continued_ns: when edgesim was continued, on the clock of the samples.
    """
    spans = [(s.sent_ns if offline else s.scheduled_ns, s.done_ns) for s in samples]
    if not spans:
        return 0.0
    usual_ns = float(np.median([end - sent for sent, end in spans]))
    longest = [
        max((end - sent - usual_ns for sent, end in spans[begin:] if sent <= moment <= end), default=0.0) / 1e9
        for moment in continued_ns
    ]
    return sum(seconds for seconds in longest if seconds >= _SHORTEST_STOP_S)


@dataclass(kw_only=True)
class GeneratorUse:
    """What the load generator took of this host, over one load or several.

    Attributes:
        real_time: whether the load generator ran with real-time priority.
        seconds: length of the load.
        cpu_s: CPU seconds of this process, the reading of resources included.
        connections: the most connections that were open at a time.
    """

    real_time: bool = False
    seconds: float = 0.0
    cpu_s: float = 0.0
    requests: int = 0
    connections: int = 0

    @classmethod
    def total(cls, uses: Sequence["GeneratorUse"]) -> "GeneratorUse":
        """Add up the use of several loads."""
        return cls(
            real_time=all(use.real_time for use in uses if use.requests),
            seconds=sum(use.seconds for use in uses),
            cpu_s=sum(use.cpu_s for use in uses),
            requests=sum(use.requests for use in uses),
            connections=max((use.connections for use in uses), default=0),
        )

    def section(self, cores: Sequence[int] | None) -> GeneratorSection | None:
        """Return the section of the result file; None if nothing was sent."""
        if not self.requests or not self.seconds:
            return None
        return GeneratorSection(
            cpu_seconds=self.cpu_s,
            cpu_percent=100 * self.cpu_s / self.seconds,
            cpu_us_per_request=1e6 * self.cpu_s / self.requests,
            connections=self.connections,
            real_time=self.real_time,
            cores=tuple(cores) if cores is not None else None,
        )


class LoadMeter:
    """Measures this host from its construction on: the load generator's CPU time, and the load of other programs."""

    def __init__(self) -> None:
        self._host, self._cpu_s, self._begin_s = HostCounters(), time.process_time(), time.monotonic()
        self._seconds = self._used_s = 0.0

    def restart_seconds(self) -> None:
        """Begin the seconds of the load anew: the work before it, such as a reading at its border, is no part of them.

        The CPU time and the host's load keep their beginning.
        """
        self._begin_s = time.monotonic()

    def stop(self) -> None:
        """End the load generator's share; the host's load counts until `host_load` is called."""
        self._seconds, self._used_s = time.monotonic() - self._begin_s, time.process_time() - self._cpu_s

    def generator_use(self, requests: int, sent: Sent, *, sides: int = 1) -> GeneratorUse:
        """Return what the load generator took for `requests` requests, to one of `sides` servers that shared it."""
        return GeneratorUse(
            real_time=sent.real_time,
            seconds=self._seconds / sides,
            cpu_s=self._used_s / sides,
            requests=requests,
            connections=sent.connections,
        )

    def host_load(self, device_cpu_s: float | None) -> HostLoad:
        """Return the load of this host since the meter began.

        Args:
            device_cpu_s: CPU seconds of the server on this host meanwhile; None if it ran elsewhere or is not known.
        """
        return HostCounters().load_since(self._host, device_cpu_s)
