"""A load session on the entry of a stack that is up: first request, warm-up, load, and readings meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from edgesim.host.host_load import HostLoad
from edgesim.jobs.load_session import GeneratorUse, Keeping, LoadMeter, LoadSession
from edgesim.loadgen import load_progress
from edgesim.loadgen.scenario import Scenario, closed_loop
from edgesim.measure import resource_usage
from edgesim.measure.steady_state import WarmUp
from edgesim.progress import Stages
from edgesim.recording import Phase, Reading, Sample
from edgesim.stacks.running import RunningStack
from edgesim.stacks.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """The load of a stack.

    Attributes:
        warm_up: requests after the first one and before the measured ones.
        timeout_s: a request without an answer after this many seconds has failed.
    """

    scenario: Scenario
    warm_up: int
    timeout_s: float


@dataclass
class StackMeasurement:
    """What was measured on a stack so far; complete, or cut short by an error or an interrupt."""

    first_request_s: float | None = None
    warm_up: WarmUp | None = None
    samples: list[Sample] = field(default_factory=list)
    generator: GeneratorUse = field(default_factory=GeneratorUse)
    host_load: HostLoad | None = None
    interrupted: bool = False
    alive: bool = True
    stopped_s: float = 0.0


def measure(
    running: RunningStack, traffic: Traffic, plan: LoadPlan, stages: Stages, *, into: StackMeasurement, keeping: Keeping
) -> None:
    """Send the load to a stack's entry.

    An interrupt or an error leaves in `into` what was measured until then. `keeping` keeps the samples of the load.
    """
    session = LoadSession(
        traffic.endpoint,
        traffic.requests,
        timeout_s=plan.timeout_s,
        is_alive=lambda: not running.has_failed(),
        is_lost=lambda: running.monitor.lost and running.has_failed(),
    )
    first: list[Sample] = []
    with stages.stage("first request", "first request"), running.monitor.phase("first request"):
        session.send(closed_loop(1), first)
    if not first[0].ok:
        into.samples.extend(first)
        return
    into.first_request_s = first[0].service_time_ms / 1e3
    announcement = partial(load_progress.announcement, request_s=into.first_request_s, of_first=True)
    into.warm_up = WarmUp(
        requests=plan.warm_up,
        rule=f"{plan.warm_up} requests" if plan.warm_up else "none beyond the first request",
    )
    if plan.warm_up:
        warm_up, warmed = closed_loop(plan.warm_up), list[Sample]()
        doing = f"{plan.warm_up} warm-up requests{announcement([warm_up])}"
        watch = load_progress.watch(warm_up, warmed)
        with stages.stage("warm-up", doing, watch), running.monitor.phase("warm-up"):
            session.send(warm_up, warmed)
    meter, stopped_s = LoadMeter(), session.stopped_s
    try:
        doing = f"{plan.scenario}{announcement([plan.scenario])}"
        watch = load_progress.watch(plan.scenario, into.samples)
        with stages.stage("load", doing, watch), keeping(into.samples), running.monitor.phase("load"):
            sent = session.send(plan.scenario, into.samples)
            meter.stop()
            into.generator = meter.generator_use(len(into.samples), sent)
    finally:
        into.samples.sort(key=lambda sample: sample.scheduled_ns)
        into.stopped_s = session.stopped_s - stopped_s
        readings, load = board_readings(running), load_of(running)
        into.host_load = meter.host_load(resource_usage.summarise(readings, load).cpu_seconds)


def load_of(running: RunningStack) -> list[Phase]:
    """Return the phases in which the load ran."""
    return [phase for phase in running.monitor.phases if phase.name == "load"]


def board_readings(running: RunningStack) -> Sequence[Reading]:
    """Return the readings of all services together."""
    return running.monitor.board
