"""What is done with a board that is up: first inference, warm-up, load, comparison, and all that is read meanwhile."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgesim.boards.start import DESCRIPTION, Board
from edgesim.errors import EdgesimError
from edgesim.host.host_load import HostLoad
from edgesim.host.priority import punctual
from edgesim.loadgen import client, generator, inputs
from edgesim.loadgen.peak_search import PeakSearch
from edgesim.loadgen.scenario import Misses, Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.measure import reference as agreement
from edgesim.measure import resource_usage, statistics, steady_state, validity
from edgesim.models.repository import Model
from edgesim.options import PeakLimit
from edgesim.progress import Stages
from edgesim.recording import Phase, Reading, Sample
from edgesim.results.run_result import (
    AgreementSection,
    Distribution,
    GeneratorSection,
    HostLoadSection,
    Level,
    ScalingSection,
    SearchSection,
    WarmUpSection,
)

# The warm-up by rule: so many requests before the first look for its end, so many and so long at most.
_WARM_UP_FIRST = 25
_WARM_UP_MOST = 200
_WARM_UP_LIMIT_S = 10.0
_WARM_UP_STEP = 5

# Closed loops side by side whose throughput is the first guess in the search for the peak, and for how long.
_GUESS_CLIENTS = 8
_GUESS_S = 1.0
# The peak is below what a closed loop gets through, since arrivals come in bursts.
_GUESS_SHARE = 0.7
_LEVEL_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be measured.

    Attributes:
        reference: the model on this host, for comparison.
        warm_up: requests before the measured ones; None is for as long as the level changes.
        timeout_s: a request without an answer within it has failed.
        sweep: the server scenario at each of these rates instead of `scenario`.
        peak: the search for the highest rate that holds this, instead of `scenario`.
        client_cores: the load generator is held to these cores of this host; None is any.
    """

    model: Model
    inputs: inputs.Inputs
    reference: agreement.Reference
    scenario: Scenario
    warm_up: int | None
    timeout_s: float
    sweep: Sequence[float] = ()
    peak: PeakLimit | None = None
    client_cores: Sequence[int] | None = None


@dataclass(kw_only=True)
class GeneratorUse:
    """What the load generator took of this host, over one load or several; `first` as `punctual` has it."""

    first: bool = False
    seconds: float = 0.0
    cpu_s: float = 0.0
    requests: int = 0
    connections: int = 0

    @classmethod
    def total(cls, uses: Sequence["GeneratorUse"]) -> "GeneratorUse":
        """All of them together."""
        return cls(
            first=all(use.first for use in uses if use.requests),
            seconds=sum(use.seconds for use in uses),
            cpu_s=sum(use.cpu_s for use in uses),
            requests=sum(use.requests for use in uses),
            connections=max((use.connections for use in uses), default=0),
        )

    def section(self, cores: Sequence[int] | None) -> GeneratorSection | None:
        """For the result; None where nothing was generated."""
        if not self.requests or not self.seconds:
            return None
        return GeneratorSection(
            cpu_seconds=self.cpu_s,
            cpu_percent=100 * self.cpu_s / self.seconds,
            cpu_us_per_request=1e6 * self.cpu_s / self.requests,
            connections=self.connections,
            real_time=self.first,
            cores=tuple(cores) if cores is not None else None,
        )


@dataclass
class Measurement:
    """What one board has given so far, whole or cut short.

    Attributes:
        description: what the server found inside its container.
        samples: of the load; of several levels the one that `level` stands for.
        load: the phases in which the load ran.
        heated_ns: when a scaled board was slowed down by its heat; None where it was not.
    """

    description: dict[str, Any] = field(default_factory=dict)
    first_inference_s: float | None = None
    warm_up: WarmUpSection | None = None
    steady_at_s: float | None = None
    scenario: Scenario | None = None
    samples: list[Sample] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    search: SearchSection | None = None
    readings: list[Reading] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    generator: GeneratorUse = field(default_factory=GeneratorUse)
    host_loads: list[HostLoadSection] = field(default_factory=list)
    agreement: AgreementSection | None = None
    interrupted: bool = False
    alive: bool = True
    scaling: ScalingSection | None = None
    heated_ns: int | None = None

    @property
    def load(self) -> list[Phase]:
        return [phase for phase in self.phases if phase.name == "load"]

    def drift(self) -> steady_state.Drift | None:
        """Whether the level of latency changed during the load; of service time, where latency grows by definition."""
        if self.heated_ns is not None:
            return None  # it was meant to
        offline = self.scenario is not None and self.scenario.name == "offline"
        ordered = sorted(self.samples, key=lambda sample: sample.sent_ns if offline else sample.scheduled_ns)
        return steady_state.drift([s.service_time_ms if offline else s.latency_ms for s in ordered if s.ok])


Keeping = Callable[[Sequence[Sample]], AbstractContextManager[None]]


def measure(board: Board, plan: Plan, stages: Stages, *, into: Measurement, keeping: Keeping) -> None:
    """Measure a board that is ready; a device that cannot do the first inference is asked for nothing more.

    Whatever is there when it is interrupted, or fails, is in `into`; while a load runs, `keeping` keeps its samples.
    """
    begun_s = time.monotonic()
    url = board.device.direct_url
    with (
        held_to(plan.client_cores),
        resource_usage.Recorder(board.device.read, interval_s=board.device.reading_interval_s) as recorder,
        closing(client.Client(url, plan.model, timeout_s=plan.timeout_s)) as peer,
    ):
        # The same lists from now on, so that an interruption finds in them what was read until then.
        into.readings, into.phases = recorder.readings, recorder.phases
        into.description = peer.get_json(DESCRIPTION)
        payload = peer.encode(plan.inputs.requests[0])
        with stages.stage("first inference", "first inference"), recorder.phase("first inference"):
            begun = time.monotonic_ns()
            first = peer.infer(payload)
            done = time.monotonic_ns()
        if first.outcome != "ok":
            into.samples.append(Sample(begun, begun, done, first.outcome))
            return
        into.first_inference_s = (done - begun) / 1e9

        # The whole of each request, and nothing else of it: real inputs can be many and large.
        requests = [peer.on_the_wire(peer.encode(arrays)) for arrays in plan.inputs.requests]
        load = _Load(board, plan, url, requests, recorder, stages, into, keeping)
        load.warm_up()
        into.steady_at_s = time.monotonic() - begun_s
        with _heating(board, into):
            if plan.peak is not None:
                load.find_peak(plan.peak)
            elif plan.sweep:
                load.sweep()
            else:
                load.run(plan.scenario, str(plan.scenario))

        if not board.device.state().running or (into.samples and not into.samples[-1].ok and not load.alive()):
            return  # its address may be nobody's now, and a connection to nobody takes its time to fail
        with (
            stages.stage("comparison", "comparing the device's answers with this host's"),
            recorder.phase("comparison"),
        ):
            into.agreement = compare_answers(peer, first, plan)
        if board.scale is not None:
            with stages.stage("scale", "asking again, whether the board's time still holds"), suppress(OSError):
                board.scale.check()
            into.scaling = board.scale.section()


@contextmanager
def _heating(board: Board, into: Measurement) -> Iterator[None]:
    """A scaled board is slowed down when it has been under load for as long as its profile says."""
    scale, after_s = board.scale, board.full_speed_s
    if scale is None or after_s is None:
        yield
        return

    def heat() -> None:
        with suppress(OSError, EdgesimError):  # of a board that is gone the load itself tells
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


class _Load:
    """The requests of a plan, sent to one board."""

    def __init__(
        self,
        board: Board,
        plan: Plan,
        url: str,
        requests: Sequence[bytes],
        recorder: resource_usage.Recorder,
        stages: Stages,
        into: Measurement,
        keeping: Keeping,
    ) -> None:
        self._board, self._plan, self._url, self._requests = board, plan, url, requests
        self._recorder, self._stages, self._into, self._keeping = recorder, stages, into, keeping
        self._first = False

    def warm_up(self) -> None:
        count = self._plan.warm_up
        if count == 0:
            self._into.warm_up = WarmUpSection(
                requests=0, rule=f"none beyond the {'calibration' if self._board.scale else 'first inference'}"
            )
            return
        with (
            self._stages.stage(
                "warm-up", f"{count} warm-up requests" if count is not None else "warming up until the level is steady"
            ),
            self._recorder.phase("warm-up"),
        ):
            if count is not None:
                self._send(_closed_loop(count), [])
                self._into.warm_up = WarmUpSection(requests=count, rule=f"{count} requests, as told")
            else:
                self._into.warm_up = self._warm_up_by_rule()

    def _warm_up_by_rule(self) -> WarmUpSection:
        samples: list[Sample] = []
        look_at, until = _WARM_UP_FIRST, time.monotonic() + _WARM_UP_LIMIT_S
        while len(samples) < _WARM_UP_MOST and time.monotonic() < until:
            self._send(_closed_loop(_WARM_UP_STEP), samples)
            if samples[-1].outcome != "ok":
                return WarmUpSection(
                    requests=len(samples), rule=f"a request failed: {samples[-1].outcome}", found=False
                )
            if len(samples) >= look_at:
                look_at *= 2
                end = steady_state.warm_up_end([sample.service_time_ms for sample in samples])
                if end is not None:
                    where = f"the level last changed at request {end}" if end else "no change of level"
                    return WarmUpSection(requests=len(samples), rule=f"change-point: {where} of {len(samples)}")
        rule = f"change-point: {len(samples)} requests were not enough to see the end of the warm-up"
        return WarmUpSection(requests=len(samples), rule=rule, found=False)

    def run(self, scenario: Scenario, doing: str, into: list[Sample] | None = None) -> list[Sample]:
        """Run one scenario, measured; its samples are the measurement's unless they go elsewhere."""
        samples = into if into is not None else self._into.samples
        self._into.scenario = scenario
        before, cpu_before = HostLoad(), time.process_time()
        try:
            with self._stages.stage("load", doing), self._keeping(samples), self._recorder.phase("load"):
                begun = time.monotonic()
                connections = self._send(scenario, samples)
                seconds, cpu_s = time.monotonic() - begun, time.process_time() - cpu_before
        except BaseException:
            if into is not None:  # of several rates the one that was cut short is the last word
                self._into.samples.extend(samples)
            raise
        finally:
            samples.sort(key=lambda sample: sample.scheduled_ns)
        use = GeneratorUse(
            first=self._first, seconds=seconds, cpu_s=cpu_s, requests=len(samples), connections=connections
        )
        self._into.generator = GeneratorUse.total([self._into.generator, use])
        device_s = resource_usage.summarise(self._recorder.readings, self._into.load[-1:]).cpu_seconds
        # What a device on another machine has used says nothing about this one.
        here = self._board.host.context is None
        self._into.host_loads.append(HostLoad().since(before, device_s if here else None))
        return samples

    def sweep(self) -> None:
        """Each rate in turn. The measurement is of the highest at which the generator kept up."""
        chosen: tuple[int, list[Sample]] | None = None
        for i, qps in enumerate(self._plan.sweep):
            samples = self.run(self._plan.scenario.at(qps), f"rate {i + 1} of {len(self._plan.sweep)}: {qps:g}/s", [])
            level = self._level(qps, samples)
            self._into.levels.append(level)
            if chosen is None or level.valid:
                chosen = i, samples
            if not self.alive():
                break
        if chosen is not None:
            self._take(self._plan.sweep[chosen[0]], chosen[1])

    def find_peak(self, limit: PeakLimit) -> None:
        """The highest rate that holds the limit; the measurement is of that one, or of the last where none did."""
        search = PeakSearch(self._guess_qps())
        kept: dict[float, list[Sample]] = {}
        wanted = statistics.PERCENTILES[limit.percentile]
        while (qps := search.next_qps()) is not None:
            requests = max(statistics.smallest_sample(wanted), math.ceil(_LEVEL_S * qps))
            allowed = requests - math.ceil(requests * wanted / 100)
            stop = StopRule(requests=requests, misses=Misses(limit_s=limit.latency_ms / 1e3, at_most=allowed))
            doing = f"does {limit.percentile} stay under {limit.latency_ms:g} ms at {qps:.4g}/s?"
            samples = self.run(replace(self._plan.scenario.at(qps), stop=stop), doing, [])
            level = self._level(qps, samples)
            value = getattr(level.latency_ms, limit.percentile)
            held = not level.failed and value is not None and value <= limit.latency_ms
            self._into.levels.append(level.model_copy(update={"held": held}))
            kept[qps] = samples
            if not self.alive():
                break
            search.heard(qps, held=held)
        self._into.search = SearchSection(
            percentile=limit.percentile, limit_ms=limit.latency_ms, peak_qps=search.held_qps
        )
        chosen = search.held_qps if search.held_qps is not None else list(kept)[-1]
        self._take(chosen, kept[chosen])

    def _guess_qps(self) -> float:
        with self._stages.stage("guess", "what gets through at most"):
            samples: list[Sample] = []
            stop = StopRule(requests=_GUESS_CLIENTS, duration_s=_GUESS_S)
            self._send(Scenario(name="single-stream", clients=_GUESS_CLIENTS, stop=stop), samples)
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
        )

    def _send(self, scenario: Scenario, into: list[Sample]) -> int:
        """Drive the board; how many connections it took."""
        precision = scenario.stop.precision

        def enough(latencies_ns: Sequence[int]) -> bool:
            assert precision is not None, "nobody asks otherwise"
            return statistics.is_precise(np.asarray(latencies_ns), precision.percentile, precision.percent)

        try:
            connected = HttpTransport(self._url, connections=scenario.connections, timeout_s=self._plan.timeout_s)
        except OSError as error:  # it has died since it answered last: a failed request, as it would be a moment later
            now = time.monotonic_ns()
            into.append(Sample(now, now, time.monotonic_ns(), f"connection: {type(error).__name__}"))
            return 0
        with connected as transport, punctual() as self._first:
            generator.drive(scenario, transport, self._requests, into=into, still_alive=self.alive, enough=enough)
            return transport.most_open

    def alive(self) -> bool:
        """Asked when a request has failed: whether another one may do better."""
        return self._board.device.state().running and not self._board.hangs(self._recorder.readings)


def _closed_loop(requests: int) -> Scenario:
    return Scenario(name="single-stream", stop=StopRule(requests=requests))


def distribution(samples: Sequence[Sample], time_ms: Callable[[Sample], float]) -> Distribution:
    """A time's distribution; a request that failed took infinitely long."""
    return statistics.summarise([time_ms(sample) if sample.ok else math.inf for sample in samples])


def lag(samples: Sequence[Sample]) -> Distribution:
    """How much later than scheduled the requests were sent: the generator's doing, whatever became of them."""
    return statistics.summarise([(sample.sent_ns - sample.scheduled_ns) / 1e6 for sample in samples])


def throughput_qps(samples: Sequence[Sample]) -> float | None:
    """Answered requests over the time from the first one due to the last one done."""
    ok = sum(sample.ok for sample in samples)
    if not ok:
        return None
    first, last = min(sample.scheduled_ns for sample in samples), max(sample.done_ns for sample in samples)
    return ok * 1e9 / (last - first)


def compare_answers(peer: client.Client, first: client.Answer, plan: Plan) -> AgreementSection | None:
    """All labelled inputs as one batch where there are some, else the very first request; None if it went wrong."""
    if plan.inputs.labelled is None:
        return agreement.compare(client.decode(first.payload), plan.reference.run(plan.inputs.requests[0]))
    batch, labels = plan.inputs.labelled
    answer = peer.infer(peer.encode(batch))
    if answer.outcome != "ok":
        return None
    return agreement.compare(client.decode(answer.payload), plan.reference.run(batch), labels)


@contextmanager
def held_to(cores: Sequence[int] | None) -> Iterator[None]:
    """This thread, and those that it starts meanwhile, on these cores alone."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
