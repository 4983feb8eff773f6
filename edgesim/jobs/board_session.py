"""One board that is up: first inference, warm-up, load and comparison, and the readings of its resources meanwhile."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from edgesim.boards.board import DESCRIPTION, Board
from edgesim.boards.time_scaling import ScalingRecord
from edgesim.errors import EdgesimError, UsageError
from edgesim.host.cores import affinity
from edgesim.host.host_load import HostLoad
from edgesim.jobs.load_session import GeneratorUse, Keeping, LoadMeter, LoadSession, Sent
from edgesim.loadgen import client, load_progress
from edgesim.loadgen.inputs import Inputs, samples_in
from edgesim.loadgen.peak_search import MOST_TRIES, USUAL_TRIES, PeakSearch
from edgesim.loadgen.scenario import Misses, Scenario, StopRule, closed_loop
from edgesim.measure import resource_usage, statistics, steady_state, validity
from edgesim.measure.backlog import backlog
from edgesim.measure.reference import Comparison, Reference, compare
from edgesim.measure.steady_state import WarmUp
from edgesim.models.repository import Model
from edgesim.options import PeakLimit, RequestDefaults, TrafficOptions
from edgesim.progress import Stages
from edgesim.recording import Phase, Reading, Sample
from edgesim.results.sections import Distribution, Level, SearchSection, section
from edgesim.units import format_estimate

# The warm-up by rule looks for its end after this many requests, and gives up after this many requests or seconds.
_WARM_UP_FIRST_LOOK = 25
_WARM_UP_MOST = 200
_WARM_UP_LIMIT_S = 10.0
_WARM_UP_STEP = 5

# The peak search begins at a share of the throughput of a few closed loops: the peak is below that throughput, since
# arrivals come in bursts.
_GUESS_CLIENTS = 8
_GUESS_S = 1.0
_GUESS_SHARE = 0.7
_LEVEL_S = 2.0

# Beside a scaled run, which tells the times, an emulated board needs few requests: does it load, answer right and fit?
FEW_REQUESTS = 3


@dataclass(frozen=True, kw_only=True)
class SessionPlan:
    """What is measured on one board.

    Attributes:
        reference: the model on this host, for comparison.
        warm_up: requests before the measured ones; None means until latencies are steady.
        timeout_s: a request without an answer after this many seconds has failed.
        sweep: rates, in requests per second, of the server scenario, in place of `scenario`.
        peak: the limit of a search for the highest rate, in place of `scenario`.
        client_cores: the cores of this host that the load generator uses; None means any.
    """

    model: Model
    inputs: Inputs
    reference: Reference
    scenario: Scenario
    warm_up: int | None
    timeout_s: float
    sweep: Sequence[float] = ()
    peak: PeakLimit | None = None
    client_cores: Sequence[int] | None = None

    @classmethod
    def of(
        cls,
        traffic: TrafficOptions,
        defaults: RequestDefaults,
        *,
        model: Model,
        inputs: Inputs,
        reference: Reference,
        seed: int,
    ) -> "SessionPlan":
        """Resolve traffic options with the defaults of a board.

        Raises:
            UsageError: the options contradict each other, or one is missing.
        """
        return cls(
            model=model,
            inputs=inputs,
            reference=reference,
            scenario=scenario_of(traffic, defaults, seed=seed),
            warm_up=traffic.warmup if traffic.warmup is not None else defaults.warm_up,
            timeout_s=defaults.timeout_s,
            sweep=traffic.sweep,
            peak=traffic.peak,
            client_cores=traffic.client_cores,
        )

    def with_few_requests(self, defaults: RequestDefaults) -> "SessionPlan":
        """Return the plan of the emulated half of a combined run: a few requests, whatever traffic the user wants."""
        stop = StopRule(requests=FEW_REQUESTS, duration_s=validity.SHORTEST_LOAD_S)
        return replace(
            self,
            scenario=Scenario.of(None, stop=stop, seed=self.scenario.seed),
            sweep=(),
            peak=None,
            warm_up=defaults.warm_up,
        )


def scenario_of(traffic: TrafficOptions, defaults: RequestDefaults, *, seed: int) -> Scenario:
    """Return the scenario that traffic options ask for, ended by their stop rule or the default one.

    Raises:
        UsageError: the options contradict each other, or one is missing.
    """
    levels = bool(traffic.sweep) or traffic.peak is not None
    name = "server" if levels else traffic.scenario
    # A sweep replaces the rate for each level, and a peak search finds its own.
    qps = traffic.sweep[0] if traffic.sweep else 1.0 if traffic.peak is not None else traffic.qps
    return Scenario.of(
        name,
        stop=stop_rule(traffic, defaults, server=name == "server" or traffic.qps is not None),
        qps=qps,
        seed=seed,
        samples_per_query=traffic.samples_per_query,
        clients=traffic.clients,
    )


def stop_rule(traffic: TrafficOptions, defaults: RequestDefaults, *, server: bool) -> StopRule:
    """Return when a load ends: as the options say, or by default if none of them says."""
    if traffic.requests is not None or traffic.duration_s is not None:
        return StopRule(
            requests=traffic.requests if traffic.requests is not None else 1,
            duration_s=traffic.duration_s or 0.0,
            precision=traffic.until,
        )
    if traffic.until is not None:
        return StopRule(precision=traffic.until)
    # A server is asked for its tail.
    requests = statistics.smallest_sample(99) if server and defaults.tail else defaults.requests
    return StopRule(requests=requests, duration_s=defaults.duration_s)


def check_levels(traffic: TrafficOptions) -> None:
    """Check the options of a sweep or a peak search before any work.

    Raises:
        UsageError: they contradict each other, or a rate or a limit is none.
    """
    if not traffic.sweep and traffic.peak is None:
        return
    if traffic.sweep and traffic.peak is not None:
        raise UsageError("`sweep` and `peak` exclude each other", fix="give one of them")
    if any(not 0 < rate < math.inf for rate in traffic.sweep):
        raise UsageError("`sweep`: a rate is above 0, in requests per second", fix="for example `sweep=10,20,40`")
    if traffic.peak is not None:
        _check_peak(traffic.peak)
    option = "sweep" if traffic.sweep else "peak"
    others = traffic.qps is not None or traffic.clients is not None or traffic.samples_per_query is not None
    if traffic.scenario not in (None, "server") or others:
        raise UsageError(
            f"`{option}` sets the rate itself, in the server scenario", fix=f"only `{option}`, without the other"
        )


def _check_peak(limit: PeakLimit) -> None:
    if limit.percentile not in statistics.PERCENTILES:
        raise UsageError(
            f"`peak`: no percentile {limit.percentile!r}", fix=f"one of {', '.join(statistics.PERCENTILES)}"
        )
    if not 0 < limit.latency_ms < math.inf:
        raise UsageError(
            f"`peak`: a latency of {limit.latency_ms:g} ms is no limit", fix="a time above 0, in milliseconds"
        )


@dataclass
class Measurement:
    """What was measured on one board so far; complete, or cut short by an error or an interrupt.

    Attributes:
        scenario: the plan's; after several levels, the one of the level that the result stands for.
        description: what the server reports from inside its container.
        samples: of the load; after several levels, of the level that the result stands for.
        heated_ns: when a scaled board was throttled to its hot clock, on `time.monotonic_ns`; None if it was not.
    """

    scenario: Scenario
    description: dict[str, Any] = field(default_factory=dict)
    first_inference_s: float | None = None
    warm_up: WarmUp | None = None
    steady_at_s: float | None = None
    samples: list[Sample] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    search: SearchSection | None = None
    readings: list[Reading] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    generator: GeneratorUse = field(default_factory=GeneratorUse)
    host_loads: list[HostLoad] = field(default_factory=list)
    agreement: Comparison | None = None
    interrupted: bool = False
    alive: bool = True
    scaling: ScalingRecord | None = None
    heated_ns: int | None = None

    @property
    def load(self) -> list[Phase]:
        """The phases in which the load ran."""
        return [phase for phase in self.phases if phase.name == "load"]

    def drift(self) -> steady_state.Drift | None:
        """Return whether latency changed during the load (offline: service time, since latency grows by definition)."""
        if self.heated_ns is not None:
            return None  # a throttled board slows down by definition
        offline = self.scenario.name == "offline"
        ordered = sorted(self.samples, key=lambda sample: sample.sent_ns if offline else sample.scheduled_ns)
        return steady_state.drift([s.service_time_ms if offline else s.latency_ms for s in ordered if s.ok])


def measure(board: Board, plan: SessionPlan, stages: Stages, *, into: Measurement, keeping: Keeping) -> None:
    """Measure a board that is ready; a board that fails the first inference gets no more requests.

    An interrupt or an error leaves in `into` what was measured until then. `keeping` keeps the samples of each load.
    """
    begin_s = time.monotonic()
    url = board.device.direct_url
    with (
        on_cores(plan.client_cores),
        resource_usage.Recorder(board.device.read, interval_s=board.device.reading_interval_s) as recorder,
        closing(client.Client(url, plan.model, timeout_s=plan.timeout_s)) as peer,
    ):
        # The recorder fills these lists from now on: after an interrupt they hold what was read until then.
        into.readings, into.phases = recorder.readings, recorder.phases
        into.description = peer.get_json(DESCRIPTION)
        payload = peer.encode(plan.inputs.requests[0])
        with stages.stage("first inference", "first inference"), recorder.phase("first inference"):
            sent_ns = time.monotonic_ns()
            first = peer.infer(payload)
            done_ns = time.monotonic_ns()
        if first.outcome != "ok":
            into.samples.append(Sample(sent_ns, sent_ns, done_ns, first.outcome))
            return
        into.first_inference_s = (done_ns - sent_ns) / 1e9

        # Each request's bytes on the wire, and no second copy of the inputs: real inputs can be many and large.
        requests = [peer.on_the_wire(peer.encode(arrays)) for arrays in plan.inputs.requests]
        load = _BoardLoad(board, plan, url, requests, recorder, stages, into, keeping)
        load.warm_up()
        into.steady_at_s = time.monotonic() - begin_s
        with _heating(board, into):
            if plan.peak is not None:
                load.find_peak(plan.peak)
            elif plan.sweep:
                load.sweep()
            else:
                load.run(plan.scenario, str(plan.scenario))

        if not board.device.state().running or (into.samples and not into.samples[-1].ok and not load.is_alive()):
            return  # the address of a dead server may be nobody's now, and connecting to nobody takes minutes to fail
        with (
            stages.stage("comparison", "comparing the device's answers with this host's"),
            recorder.phase("comparison"),
        ):
            into.agreement = compare_answers(peer, first, plan)
        if board.scale is not None:
            with stages.stage("scale", "checking that the scaled times still hold"), suppress(OSError):
                board.scale.check()
            into.scaling = board.scale.record()


@contextmanager
def _heating(board: Board, into: Measurement) -> Iterator[None]:
    """Throttle a scaled board once it has been under load for as long as its profile says."""
    scale, after_s = board.scale, board.full_speed_s
    if scale is None or after_s is None:
        yield
        return

    def heat() -> None:
        with suppress(OSError, EdgesimError):  # the load itself reports a board that is gone
            scale.heat()
            into.heated_ns = time.monotonic_ns()

    timer = threading.Timer(after_s, heat)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class _BoardLoad:
    """The warm-up and the loads of a plan, sent to one board."""

    def __init__(
        self,
        board: Board,
        plan: SessionPlan,
        url: str,
        requests: Sequence[bytes],
        recorder: resource_usage.Recorder,
        stages: Stages,
        into: Measurement,
        keeping: Keeping,
    ) -> None:
        self._board, self._plan, self._recorder, self._stages = board, plan, recorder, stages
        self._into, self._keeping = into, keeping
        self._session = LoadSession(
            url, requests, timeout_s=plan.timeout_s, is_alive=self.is_alive, is_lost=self._is_lost
        )

    def warm_up(self) -> None:
        count = self._plan.warm_up
        if count == 0:
            self._into.warm_up = WarmUp(
                requests=0, rule=f"none beyond the {'calibration' if self._board.scale else 'first inference'}"
            )
            return
        if count is None:
            doing = "warming up until the level is steady"
            with self._stages.stage("warm-up", doing), self._recorder.phase("warm-up"):
                self._into.warm_up = self._warm_up_by_rule()
            return
        scenario, samples = closed_loop(count), list[Sample]()
        doing = f"{count} warm-up requests{load_progress.announcement([scenario], self._request_s())}"
        watch = load_progress.watch(scenario, samples)
        with self._stages.stage("warm-up", doing, watch), self._recorder.phase("warm-up"):
            self._session.send(scenario, samples)
        self._into.warm_up = WarmUp(requests=count, rule=f"{count} requests, set by the user")

    def _warm_up_by_rule(self) -> WarmUp:
        samples: list[Sample] = []
        look_at, until = _WARM_UP_FIRST_LOOK, time.monotonic() + _WARM_UP_LIMIT_S
        while len(samples) < _WARM_UP_MOST and time.monotonic() < until:
            self._session.send(closed_loop(_WARM_UP_STEP), samples)
            if samples[-1].outcome != "ok":
                return WarmUp(requests=len(samples), rule=f"a request failed: {samples[-1].outcome}", found=False)
            if len(samples) >= look_at:
                look_at *= 2
                end = steady_state.warm_up_end([sample.service_time_ms for sample in samples])
                if end is not None:
                    where = f"the level last changed at request {end}" if end else "no change of level"
                    return WarmUp(requests=len(samples), rule=f"change-point: {where} of {len(samples)}")
        rule = f"change-point: {len(samples)} requests were not enough to see the end of the warm-up"
        return WarmUp(requests=len(samples), rule=rule, found=False)

    def run(self, scenario: Scenario, doing: str, into: list[Sample] | None = None) -> list[Sample]:
        """Run one measured scenario; its samples go to the measurement unless `into` is another list."""
        samples = into if into is not None else self._into.samples
        self._into.scenario = scenario
        meter, sent = LoadMeter(), Sent()
        doing += load_progress.announcement([scenario], self._request_s())
        watch = load_progress.watch(scenario, samples)
        try:
            with self._stages.stage("load", doing, watch), self._keeping(samples), self._recorder.phase("load"):
                meter.restart_seconds()
                sent = self._session.send(scenario, samples)
                meter.stop()
        except BaseException:
            if into is not None:  # the level that was cut short stands for the measurement
                self._into.samples.extend(samples)
            raise
        finally:
            samples.sort(key=lambda sample: sample.scheduled_ns)
        self._into.generator = GeneratorUse.total([self._into.generator, meter.generator_use(len(samples), sent)])
        # The CPU time of a device on another machine is no part of this host's load.
        on_this_host = self._board.host.context is None
        device_cpu_s = resource_usage.summarise(self._recorder.readings, self._into.load[-1:]).cpu_seconds
        self._into.host_loads.append(meter.host_load(device_cpu_s if on_this_host else None))
        return samples

    def _request_s(self) -> float | None:
        """Return the time of a request, as far as it is known before the load."""
        return self._board.scale.times_ms[0] / 1e3 if self._board.scale is not None else self._into.first_inference_s

    def sweep(self) -> None:
        """Run each rate in turn.

        The result stands for the highest rate that the board and the load generator kept up with, or for the lowest
        rate if there is none: an overloaded board's latencies say how long the load was.
        """
        scenarios = [self._plan.scenario.at(qps) for qps in self._plan.sweep]
        if takes := load_progress.announcement(scenarios, self._request_s()):
            self._stages.note(f"a sweep of {len(scenarios)} rates{takes}")
        measured: list[tuple[Level, list[Sample]]] = []
        for i, qps in enumerate(self._plan.sweep):
            samples = self.run(self._plan.scenario.at(qps), f"rate {i + 1} of {len(self._plan.sweep)}: {qps:g}/s", [])
            level = self._level(qps, samples)
            self._into.levels.append(level)
            measured.append((level, samples))
            if not self.is_alive():
                break
        by_rate = sorted(measured, key=lambda entry: entry[0].qps)
        kept_up = [entry for entry in by_rate if entry[0].valid and not entry[0].failed and not entry[0].overloaded]
        level, samples = kept_up[-1] if kept_up else by_rate[0]
        self._take(level.qps, samples)

    def find_peak(self, limit: PeakLimit) -> None:
        """Search for the highest rate below the limit; the result stands for that rate, or for the last one tried."""
        search = PeakSearch(self._guess_qps())
        kept: dict[float, list[Sample]] = {}
        percentile = statistics.PERCENTILES[limit.percentile]

        def requests_at(qps: float) -> int:
            return max(statistics.smallest_sample(percentile), math.ceil(_LEVEL_S * qps))

        if (first_qps := search.next_qps()) is not None:
            try_s = requests_at(first_qps) / first_qps
            self._stages.note(
                f"the search for the peak rate tries some {USUAL_TRIES} rates, at most {MOST_TRIES}; a rate takes up to"
                f" {format_estimate(try_s)}: about {format_estimate(USUAL_TRIES * try_s)} in all"
            )
        while (qps := search.next_qps()) is not None:
            requests = requests_at(qps)
            allowed = requests - math.ceil(requests * percentile / 100)
            stop = StopRule(requests=requests, misses=Misses(limit_s=limit.latency_ms / 1e3, at_most=allowed))
            doing = f"rate {len(kept) + 1}: does {limit.percentile} stay under {limit.latency_ms:g} ms at {qps:.4g}/s?"
            samples = self.run(replace(self._plan.scenario.at(qps), stop=stop), doing, [])
            level = self._level(qps, samples)
            value = getattr(level.latency_ms, limit.percentile)
            below = not level.failed and value is not None and value <= limit.latency_ms
            self._into.levels.append(level.model_copy(update={"held": below}))
            kept[qps] = samples
            if not self.is_alive():
                break
            search.report(qps, kept_limit=below)
        self._into.search = SearchSection(
            percentile=limit.percentile, limit_ms=limit.latency_ms, peak_qps=search.peak_qps
        )
        chosen = search.peak_qps if search.peak_qps is not None else list(kept)[-1]
        self._take(chosen, kept[chosen])

    def _guess_qps(self) -> float:
        with self._stages.stage("guess", "estimating the highest throughput"):
            samples: list[Sample] = []
            stop = StopRule(requests=_GUESS_CLIENTS, duration_s=_GUESS_S)
            self._session.send(Scenario(name="single-stream", clients=_GUESS_CLIENTS, stop=stop), samples)
        return _GUESS_SHARE * (throughput_qps(samples) or 1.0)

    def _take(self, qps: float, samples: list[Sample]) -> None:
        self._into.scenario = self._plan.scenario.at(qps)
        self._into.samples.extend(samples)

    def _level(self, qps: float, samples: Sequence[Sample]) -> Level:
        on_time = validity.generator_on_time(samples)
        failed = sum(not sample.ok for sample in samples)
        reasons = (f"{on_time.name}: {on_time.finding}",) if on_time.verdict == "invalid" else ()
        return Level(
            qps=qps,
            achieved_qps=throughput_qps(samples),
            requests=len(samples),
            failed=failed,
            latency_ms=distribution(samples, lambda sample: sample.latency_ms),
            service_time_ms=distribution(samples, lambda sample: sample.service_time_ms),
            lag_ms=lag(samples),
            valid=not reasons,
            reasons=reasons,
            overloaded=queue.overloaded if (queue := backlog(samples)) is not None else None,
        )

    def is_alive(self) -> bool:
        """Return whether another request may succeed after one has failed."""
        return self._board.device.state().running and not self._board.hangs(self._recorder.readings)

    def _is_lost(self) -> bool:
        """Return whether the server has ended; the engine is asked only if the last reading found nothing to read."""
        readings = self._recorder.readings
        return bool(readings) and readings[-1].memory_bytes is None and not self._board.device.state().running


def distribution(samples: Sequence[Sample], time_ms: Callable[[Sample], float]) -> Distribution:
    """Summarise a time of all samples, in milliseconds; a failed request took infinitely long."""
    times_ms = [time_ms(sample) if sample.ok else math.inf for sample in samples]
    return section(Distribution, statistics.summarise(times_ms))


def lag(samples: Sequence[Sample]) -> Distribution:
    """Summarise the lag of all samples, in milliseconds, whatever their outcome: lag is the load generator's doing."""
    lags_ms = [(sample.sent_ns - sample.scheduled_ns) / 1e6 for sample in samples]
    return section(Distribution, statistics.summarise(lags_ms))


def throughput_qps(samples: Sequence[Sample]) -> float | None:
    """Return answered requests per second, from the first scheduled request to the last one done; None if none was."""
    ok = sum(sample.ok for sample in samples)
    if not ok:
        return None
    first, last = min(sample.scheduled_ns for sample in samples), max(sample.done_ns for sample in samples)
    return ok * 1e9 / (last - first)


def compare_answers(peer: client.Client, first: client.Answer, plan: SessionPlan) -> Comparison | None:
    """Compare the answers to all labelled inputs as one batch, or to the first request if there are no labels.

    Returns None if the board does not answer.
    """
    labelled, answer, labels = plan.inputs.labelled, first, None
    request = plan.inputs.requests[0]
    if labelled is not None:
        request, labels = labelled
        answer = peer.infer(peer.encode(request))
    if answer.outcome != "ok":
        return None
    return compare(
        client.decode(answer.payload),
        plan.reference.run(request),
        labels,
        samples=samples_in(plan.model, request),
        again=lambda: plan.reference.run(request),
    )


@contextmanager
def on_cores(cores: Sequence[int] | None) -> Iterator[None]:
    """Run this thread, and the threads it starts within the block, on `cores` alone; None means any core."""
    if cores is None:
        yield
        return
    before = affinity()
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
