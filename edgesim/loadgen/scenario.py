"""Scenarios: which requests are due when, and when a run has had enough of them."""

import math
from dataclasses import dataclass, replace
from typing import Self

from edgesim.errors import UsageError
from edgesim.loadgen import schedule
from edgesim.options import Precision, ScenarioName

# Requests under way at once where the scenario does not say: enough to keep any board's cores busy.
OFFLINE_CLIENTS = 8
# Open-loop requests under way at once. One more that is due waits, and the lag shows it.
MOST_CONNECTIONS = 512


@dataclass(frozen=True, kw_only=True)
class Misses:
    """More than `at_most` latencies above `limit_s`: the rest of the run could not change what that says."""

    limit_s: float
    at_most: int


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """A run has had enough when `requests` were sent, `duration_s` have passed, and `precision` is reached, all three.

    Or when `misses` are too many.
    """

    requests: int = 1
    duration_s: float = 0.0
    precision: Precision | None = None
    misses: Misses | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Traffic with MLPerf LoadGen's meaning.

    Attributes:
        name: ``single-stream``: the next request when the last is answered. ``multi-stream``: queries of `samples`
            requests at once, the next query when the last is answered whole. ``server``: Poisson arrivals at `qps`.
            ``offline``: all at once.
        clients: closed loops side by side (single-stream), or requests under way at a time (offline).
        seed: of the arrivals.
    """

    name: ScenarioName
    stop: StopRule
    qps: float | None = None
    samples: int = 1
    clients: int = 1
    seed: int = 0

    @classmethod
    def of(
        cls,
        name: ScenarioName | None,
        *,
        stop: StopRule,
        qps: float | None = None,
        samples: int | None = None,
        clients: int | None = None,
        seed: int = 0,
    ) -> Self:
        """The scenario that options ask for; `qps` alone means server, `samples` alone multi-stream.

        Raises:
            UsageError: they contradict each other, or something is missing.
        """
        implied: ScenarioName = "server" if qps is not None else "multi-stream" if samples else "single-stream"
        name = name if name is not None else implied
        if name == "server" and qps is None:
            raise UsageError("--scenario server: at what rate?", fix="--qps N, in requests a second")
        if qps is not None and not 0 < qps < math.inf:
            raise UsageError(f"--qps {qps:g}: is no rate", fix="--qps N, above 0")
        for option, value, owners in (
            ("--qps", qps, ("server",)),
            ("--samples-per-query", samples, ("multi-stream",)),
            ("--clients", clients, ("single-stream", "offline")),
        ):
            if value is not None and name not in owners:
                raise UsageError(f"{option}: is for --scenario {' or '.join(owners)}, not {name}")
        default_clients = OFFLINE_CLIENTS if name == "offline" else 1
        return cls(
            name=name,
            stop=stop,
            qps=qps,
            samples=samples or (8 if name == "multi-stream" else 1),
            clients=clients or default_clients,
            seed=seed,
        )

    def at(self, qps: float) -> Self:
        """The same at another rate."""
        return replace(self, name="server", qps=qps, clients=1, samples=1)

    def arrivals(self) -> schedule.Arrivals:
        """When its requests are due."""
        if self.name == "server":
            assert self.qps is not None, "checked when it was made"
            return schedule.OpenLoop(schedule.poisson(self.qps, self.seed))
        if self.name == "multi-stream":
            return schedule.MultiStream(self.samples)
        if self.name == "offline":
            return schedule.AllAtOnce(self.clients)
        return schedule.ClosedLoop(self.clients)

    @property
    def connections(self) -> int:
        """How many requests can be under way at once."""
        if self.name == "server":
            return MOST_CONNECTIONS
        return self.samples if self.name == "multi-stream" else self.clients

    def __str__(self) -> str:
        details = {
            "server": f" at {self.qps:g} requests/s" if self.qps else "",
            "multi-stream": f" of {self.samples}",
            "offline": f", {self.clients} at a time",
            "single-stream": f", {self.clients} clients" if self.clients > 1 else "",
        }
        return self.name + details[self.name]
