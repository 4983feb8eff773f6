"""Scenarios: when requests are due, and when a run ends."""

import math
from dataclasses import dataclass, replace
from typing import Self

from edgesim.errors import UsageError
from edgesim.loadgen import schedule
from edgesim.options import Precision, ScenarioName

# Concurrent requests of the offline scenario by default: enough to keep the cores of any board busy.
OFFLINE_CLIENTS = 8
# Concurrent requests of the server scenario at most. A further request that is due waits, and the lag shows that.
MOST_CONNECTIONS = 512


@dataclass(frozen=True, kw_only=True)
class Misses:
    """Ends a run after more than `at_most` latencies above `limit_s`: the rest could not change the conclusion."""

    limit_s: float
    at_most: int


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """Ends a run when `requests` were sent, `duration_s` have passed and `precision` is reached, all three.

    Too many `misses` end the run at once.
    """

    requests: int = 1
    duration_s: float = 0.0
    precision: Precision | None = None
    misses: Misses | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Traffic as MLPerf LoadGen defines it.

    Attributes:
        name: ``single-stream``: each request when the one before is answered. ``multi-stream``: queries of
            `samples_per_query` requests at once, each query when all requests of the one before are answered.
            ``server``: Poisson arrivals at `qps`. ``offline``: all requests at once.
        qps: requests per second in the server scenario.
        clients: concurrent closed loops (single-stream), or concurrent requests (offline).
        seed: of the arrivals.
    """

    name: ScenarioName
    stop: StopRule
    qps: float | None = None
    samples_per_query: int = 1
    clients: int = 1
    seed: int = 0

    @classmethod
    def of(
        cls,
        name: ScenarioName | None,
        *,
        stop: StopRule,
        qps: float | None = None,
        samples_per_query: int | None = None,
        clients: int | None = None,
        seed: int = 0,
    ) -> Self:
        """Return the scenario that options describe; `qps` alone means server, `samples_per_query` multi-stream.

        Raises:
            UsageError: options contradict each other, or one is missing.
        """
        implied: ScenarioName = (
            "server" if qps is not None else "multi-stream" if samples_per_query else "single-stream"
        )
        name = name if name is not None else implied
        if name == "server" and qps is None:
            raise UsageError("`scenario=server`: needs a rate", fix="`qps=N`, in requests per second")
        if qps is not None and not 0 < qps < math.inf:
            raise UsageError(f"`qps={qps:g}`: is not a rate", fix="`qps=N`, above 0")
        for field, value, scenarios in (
            ("qps", qps, ("server",)),
            ("samples_per_query", samples_per_query, ("multi-stream",)),
            ("clients", clients, ("single-stream", "offline")),
        ):
            if value is not None and name not in scenarios:
                raise UsageError(f"`{field}`: is for `scenario` {' or '.join(scenarios)}, not {name}")
        default_clients = OFFLINE_CLIENTS if name == "offline" else 1
        return cls(
            name=name,
            stop=stop,
            qps=qps,
            samples_per_query=samples_per_query or (8 if name == "multi-stream" else 1),
            clients=clients or default_clients,
            seed=seed,
        )

    def at(self, qps: float) -> Self:
        """Return the server scenario at this rate, with the same stop rule and seed."""
        return replace(self, name="server", qps=qps, clients=1, samples_per_query=1)

    def arrivals(self) -> schedule.Arrivals:
        """Return the times at which the requests are due."""
        if self.name == "server":
            assert self.qps is not None, "`of` checks that"
            return schedule.OpenLoop(schedule.poisson(self.qps, self.seed))
        if self.name == "multi-stream":
            return schedule.MultiStream(self.samples_per_query)
        if self.name == "offline":
            return schedule.AllAtOnce(self.clients)
        return schedule.ClosedLoop(self.clients)

    @property
    def connections(self) -> int:
        """The number of connections that the scenario needs: its concurrent requests at most."""
        if self.name == "server":
            return MOST_CONNECTIONS
        return self.samples_per_query if self.name == "multi-stream" else self.clients

    def __str__(self) -> str:
        details = {
            "server": f" at {self.qps:g} requests/s" if self.qps else "",
            "multi-stream": f" of {self.samples_per_query}",
            "offline": f", {self.clients} at a time",
            "single-stream": f", {self.clients} clients" if self.clients > 1 else "",
        }
        return self.name + details[self.name]


def closed_loop(requests: int) -> Scenario:
    """Return the scenario of `requests` requests, one at a time."""
    return Scenario(name="single-stream", stop=StopRule(requests=requests))
