"""What is done with a stack that is up: a first request, a warm-up, the load, and all that is read meanwhile."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from edgesim.host.host_load import HostLoad
from edgesim.host.priority import punctual
from edgesim.jobs.session import GeneratorUse
from edgesim.loadgen import generator
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.measure import resource_usage, statistics
from edgesim.progress import Stages
from edgesim.recording import Phase, Reading, Sample
from edgesim.results.run_result import HostLoadSection, WarmUpSection
from edgesim.stacks.traffic import Traffic
from edgesim.stacks.up import Running


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """The load: `warm_up` requests before the measured ones, beside the very first; `timeout_s` for each."""

    scenario: Scenario
    warm_up: int
    timeout_s: float


@dataclass
class Measurement:
    """What a stack has given so far, whole or cut short."""

    first_request_s: float | None = None
    warm_up: WarmUpSection | None = None
    samples: list[Sample] = field(default_factory=list)
    generator: GeneratorUse = field(default_factory=GeneratorUse)
    host_load: HostLoadSection | None = None
    interrupted: bool = False
    alive: bool = True


Keeping = Callable[[Sequence[Sample]], AbstractContextManager[None]]


def measure(
    running: Running, traffic: Traffic, plan: LoadPlan, stages: Stages, *, into: Measurement, keeping: Keeping
) -> None:
    """Load a stack's entry.

    Whatever is there when that is interrupted, or fails, is in `into`; while a load runs, `keeping` keeps its samples.
    """
    first: list[Sample] = []
    with stages.stage("first request", "first request"), running.watch.phase("first request"):
        _send(running, traffic, _closed_loop(1), plan, first)
    if not first[0].ok:
        into.samples.extend(first)
        return
    into.first_request_s = first[0].service_time_ms / 1e3
    into.warm_up = WarmUpSection(
        requests=plan.warm_up,
        rule=f"{plan.warm_up} requests" if plan.warm_up else "none beyond the first request",
    )
    if plan.warm_up:
        with stages.stage("warm-up", f"{plan.warm_up} warm-up requests"), running.watch.phase("warm-up"):
            _send(running, traffic, _closed_loop(plan.warm_up), plan, [])
    before, cpu_before, begun = HostLoad(), time.process_time(), time.monotonic()
    try:
        with stages.stage("load", str(plan.scenario)), keeping(into.samples), running.watch.phase("load"):
            connections, first_in_line = _send(running, traffic, plan.scenario, plan, into.samples)
            into.generator = GeneratorUse(
                first=first_in_line,
                seconds=time.monotonic() - begun,
                cpu_s=time.process_time() - cpu_before,
                requests=len(into.samples),
                connections=connections,
            )
    finally:
        into.samples.sort(key=lambda sample: sample.scheduled_ns)
        readings, load = board_readings(running), load_of(running)
        into.host_load = HostLoad().since(before, resource_usage.summarise(readings, load).cpu_seconds)


def load_of(running: Running) -> list[Phase]:
    """The phases in which the load ran."""
    return [phase for phase in running.watch.phases if phase.name == "load"]


def board_readings(running: Running) -> Sequence[Reading]:
    """Of all services together."""
    return running.watch.board


def _send(
    running: Running, traffic: Traffic, scenario: Scenario, plan: LoadPlan, into: list[Sample]
) -> tuple[int, bool]:
    """Drive the entry; how many connections it took, and whether the generator went before other programs."""
    precision = scenario.stop.precision

    def enough(latencies_ns: Sequence[int]) -> bool:
        assert precision is not None, "nobody asks otherwise"
        return statistics.is_precise(np.asarray(latencies_ns), precision.percentile, precision.percent)

    def still_alive() -> bool:
        entry = running.resolved.stack.entry
        state = running.states().get(entry.service) if entry is not None else None
        return state is not None and state.status in ("running", "restarting")

    try:
        connected = HttpTransport(traffic.url, connections=scenario.connections, timeout_s=plan.timeout_s)
    except OSError as error:
        now = time.monotonic_ns()
        into.append(Sample(now, now, time.monotonic_ns(), f"connection: {type(error).__name__}"))
        return 0, False
    with connected as transport, punctual() as first:
        generator.drive(scenario, transport, traffic.requests, into=into, still_alive=still_alive, enough=enough)
        return transport.most_open, first


def _closed_loop(requests: int) -> Scenario:
    return Scenario(name="single-stream", stop=StopRule(requests=requests))
