"""The load of one board: warm-up, and the scenario, the sweep or the peak search of a plan."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from edgesim.boards.board import Board
from edgesim.jobs.load_session import GeneratorUse, Keeping, LoadMeter, LoadSession, Sent
from edgesim.jobs.measurement import Measurement, distribution, lag, throughput_qps
from edgesim.jobs.session_plan import SessionPlan
from edgesim.loadgen import load_progress
from edgesim.loadgen.generator import Requests
from edgesim.loadgen.peak_search import MOST_TRIES, USUAL_TRIES, PeakSearch
from edgesim.loadgen.scenario import Misses, Scenario, StopRule, closed_loop
from edgesim.measure import resource_usage, statistics, steady_state, validity
from edgesim.measure.backlog import backlog
from edgesim.measure.steady_state import WarmUp
from edgesim.options import PeakLimit
from edgesim.progress import Stages
from edgesim.recording import Sample
from edgesim.results.sections import Level, SearchSection
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


class BoardLoad:
    """The warm-up and the loads of a plan, sent to one board."""

    def __init__(
        self,
        board: Board,
        plan: SessionPlan,
        requests: Sequence[bytes] | Callable[[int], Requests],
        recorder: resource_usage.Recorder,
        stages: Stages,
        into: Measurement,
        keeping: Keeping,
    ) -> None:
        self._board, self._plan, self._recorder, self._stages = board, plan, recorder, stages
        self._into, self._keeping = into, keeping
        self._session = LoadSession(
            board.endpoint, requests, timeout_s=plan.timeout_s, is_alive=self.is_alive, is_lost=self._is_lost
        )

    def warm_up(self) -> None:
        count = self._plan.warm_up
        if count == 0:
            self._into.warm_up = WarmUp(
                requests=0, rule=f"none beyond the {'calibration' if self._board.scale else 'first inference'}"
            )
            return
        if count is None and self._into.is_generation:
            count = 1  # which goes on to the end of its generation
        if count is None:
            doing = "warming up until the level is steady"
            with self._stages.stage("warm-up", doing), self._recorder.phase("warm-up"):
                self._into.warm_up = self._warm_up_by_rule()
            return
        scenario, samples = closed_loop(count), list[Sample]()
        what = "a warm-up generation" if self._plan.warm_up is None else f"{count} warm-up requests"
        doing = f"{what}{self._announcement([scenario])}"
        watch = load_progress.watch(scenario, samples)
        with self._stages.stage("warm-up", doing, watch), self._recorder.phase("warm-up"):
            self._session.send(scenario, samples)
        rule = f"{count} requests, set by the user" if self._plan.warm_up is not None else "one generation"
        self._into.warm_up = WarmUp(requests=len(samples), rule=rule)

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
        meter, sent, stopped_s = LoadMeter(), Sent(), self._session.stopped_s
        doing += self._announcement([scenario])
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
            self._into.stopped_s += self._session.stopped_s - stopped_s
        self._into.generator = GeneratorUse.total([self._into.generator, meter.generator_use(len(samples), sent)])
        # The CPU time of a device on another machine is no part of this host's load.
        on_this_host = self._board.host.context is None
        device_cpu_s = resource_usage.summarise(self._recorder.readings, self._into.load[-1:]).cpu_seconds
        self._into.host_loads.append(meter.host_load(device_cpu_s if on_this_host else None))
        return samples

    def _announcement(self, scenarios: Sequence[Scenario]) -> str:
        """Return how long scenarios take, by the time of a request that is known before the load."""
        if (scale := self._board.scale) is not None:
            return load_progress.announcement(scenarios, scale.times_ms[0] / 1e3)
        return load_progress.announcement(scenarios, self._into.first_inference_s, of_first=True)

    def sweep(self) -> None:
        """Run each rate in turn.

        The result stands for the highest rate that the board and the load generator kept up with, or for the lowest
        rate if there is none: the latencies of an overloaded board depend on the length of the load.
        """
        scenarios = [self._plan.scenario.at(qps) for qps in self._plan.sweep]
        if takes := self._announcement(scenarios):
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
