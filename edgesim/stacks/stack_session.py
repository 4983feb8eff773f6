"""What is done with a stack that is up: a first request, a warm-up, the load, and all that is read meanwhile."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from edgesim.jobs.load_session import GeneratorUse, LoadMeter, LoadSession, closed_loop
from edgesim.loadgen.scenario import Scenario
from edgesim.measure import resource_usage
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
    session = LoadSession(
        traffic.url, traffic.requests, timeout_s=plan.timeout_s, is_alive=lambda: _entry_is_alive(running)
    )
    first: list[Sample] = []
    with stages.stage("first request", "first request"), running.watch.phase("first request"):
        session.send(closed_loop(1), first)
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
            session.send(closed_loop(plan.warm_up), [])
    meter = LoadMeter()
    try:
        with stages.stage("load", str(plan.scenario)), keeping(into.samples), running.watch.phase("load"):
            sent = session.send(plan.scenario, into.samples)
            meter.stop()
            into.generator = meter.generator_use(len(into.samples), sent)
    finally:
        into.samples.sort(key=lambda sample: sample.scheduled_ns)
        readings, load = board_readings(running), load_of(running)
        into.host_load = meter.host_load(resource_usage.summarise(readings, load).cpu_seconds)


def _entry_is_alive(running: Running) -> bool:
    """Return whether the entry service runs, or comes back by itself."""
    entry = running.resolved.stack.entry
    state = running.states().get(entry.service) if entry is not None else None
    return state is not None and state.status in ("running", "restarting")


def load_of(running: Running) -> list[Phase]:
    """The phases in which the load ran."""
    return [phase for phase in running.watch.phases if phase.name == "load"]


def board_readings(running: Running) -> Sequence[Reading]:
    """Of all services together."""
    return running.watch.board
