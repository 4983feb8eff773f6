"""A scaled board: a server of this host's architecture, slowed down until its requests take the board's time.

Two mechanisms slow the server down. Its **CPU share** (of one core) is so small that the computation alone takes nearly
the board's time: queueing, the interference of several models, and the load of the CPU are then as on the board. The
server's **pace** delays each answer until the board would have given it: the kernel enforces a share in slices (only at
its timer tick, every 1 to 10 ms, it checks whether the quota is used up), so that with a share alone the times of
requests vary.
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from edgesim.boards.device import ScalableDevice
from edgesim.boards.dial import DeviceDial, Dial, Target
from edgesim.errors import HostTooSlow
from edgesim.host.cpu_quota import CpuQuota

# The part of the board's time that the computation fills at its CPU share; the rest is for the kernel's slices.
_FILL = 0.7
# CPU time that the request before may have overdrawn: a thread runs on until the timer tick that stops it.
_DEBT_MS = 3.0
# A host that needs more than this part of the board's time cannot be slowed down to the board's time reliably.
_MOST_OF_TARGET = 0.8
# The tuning ends once the median is this close to the target.
_CLOSE_PERCENT = 1.0
# The share is raised if the slowest tenth of the requests exceeds the target by more than this.
_HIGH_PERCENT = 8.0
_MOST_TRIES = 6
_TRY_S = 1.2
_FEWEST_REQUESTS, _MOST_REQUESTS = 3, 300
# Requests slower than this are few and expensive: no settling requests before a try.
_SETTLE_MS = 1_000.0
_LEAST_STEP, _LARGEST_STEP = 1.15, 1.5
_FULL_SPEED_S = 0.6
# A pace that changes by less than this from one step of a sequence to the next is not set anew: the server would work
# for that, too.
_PACE_STEP = 0.01
_WARM_UP = 3
_LIMIT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class TuningTry:
    """One try of the tuning: share and pace that a model had, and the times of `requests` at the client.

    Attributes:
        share: of one core.
        high_ms: 90th percentile.
    """

    share: float
    pace_ms: float
    requests: int
    p50_ms: float
    high_ms: float


@dataclass(frozen=True, kw_only=True)
class ModelScaling:
    """How one model was slowed down to the board's time.

    Attributes:
        target_ms: the board's time.
        host_ms: a request's time on this host at full speed; `host_cpu_ms` is the CPU time in it.
        pace_ms: the shortest time in which the server answers.
        calibrated_ms: the median of the try that the tuning chose.
        check_ms: the median of requests after the load; None if they were not sent, or not answered.
        error_percent: difference of `check_ms` from the board's time.
    """

    name: str
    target_ms: float
    host_ms: float
    host_cpu_ms: float
    pace_ms: float
    calibrated_ms: float
    tries: tuple[TuningTry, ...] = ()
    check_ms: float | None = None
    error_percent: float | None = None


@dataclass(frozen=True, kw_only=True)
class ScalingRecord:
    """What slowed a host down to a board: `share` of one core, in periods of `period_us`, for all models together.

    Attributes:
        threads: of one inference.
        method: in a sentence, the share's part in the time.
    """

    share: float
    quota_us: int
    period_us: int
    threads: int
    method: str
    models: tuple[ModelScaling, ...]


class _Outcome(NamedTuple):
    """The outcome of a try: its error as a part of the target, and the factor by which the share has to grow."""

    error: float
    factor: float


@dataclass
class _ModelState:
    """The tuning of one model so far: its time at full speed, its pace, its tries, and the pace that each asks for."""

    target: Target
    time_ms: float  # the board's time at its present clock
    host_ms: float = 0.0
    cpu_ms: float = 0.0
    pace_ms: float = 0.0
    tries: list[TuningTry] = field(default_factory=list)
    corrected_ms: list[float] = field(default_factory=list)
    calibrated_ms: float = 0.0
    check_ms: float | None = None

    @property
    def share(self) -> float:
        """The share of one core at which the computation fills its part of the board's time."""
        return (self.cpu_ms + _DEBT_MS) / (_FILL * self.time_ms)

    def record(self) -> ModelScaling:
        error = self.check_ms / self.time_ms - 1 if self.check_ms is not None else None
        return ModelScaling(
            name=self.target.name,
            target_ms=self.target.time_ms,
            host_ms=self.host_ms,
            host_cpu_ms=self.cpu_ms,
            pace_ms=self.pace_ms,
            calibrated_ms=self.calibrated_ms,
            tries=tuple(self.tries),
            check_ms=self.check_ms,
            error_percent=100 * error if error is not None else None,
        )


class Scale:
    """Slows a server down to the board's time; `find` has to be called first.

    Args:
        threads: of one inference.
        cores: the most that the server may use, in cores of this host.
        by_pace: leave the server all `cores`, and slow it down by the pace alone: the board's processor has no part in
            an accelerator's time.

    Attributes:
        quota: the CPU limit of all models together.
        heated: whether the board is throttled to its hot clock.
    """

    def __init__(
        self, dial: Dial, targets: Sequence[Target], *, threads: int, cores: float, by_pace: bool = False
    ) -> None:
        self._dial, self._threads, self._cores, self._by_pace = dial, threads, cores, by_pace
        self._models = [_ModelState(target, target.time_ms) for target in targets]
        self.quota = CpuQuota.of_share(cores)
        self.heated = False
        # One model has one pace at a time, and the steps of a sequence have several.
        self._has_steps = any(target.step is not None for target in targets)
        self._step_pace_ms = math.inf

    @property
    def times_ms(self) -> Sequence[float]:
        """The board's time at its present clock, for each model."""
        return [model.time_ms for model in self._models]

    def find(self, previous: ScalingRecord | None = None) -> None:
        """Search for the share and the paces.

        The share is that of the model which needs the largest; the pace of each other model uses up its surplus.

        Args:
            previous: tuning of the same models in an earlier server, used as the starting point. If the first try
                is close enough, its correction is applied all the same, so that the earlier server's error is not
                copied.

        Raises:
            HostTooSlow: at full speed, a model takes longer than on the board.
            OSError: a request was not answered.
        """
        share = self._begin() if previous is None else self._begin_at(previous)
        until = time.monotonic() + _LIMIT_S * len(self._models)
        errors: list[float] = []
        for _ in range(_MOST_TRIES):
            self._set(share)
            outcomes = [self._try(model, settle=time.monotonic() < until) for model in self._models]
            errors.append(max(outcome.error for outcome in outcomes))
            if errors[-1] <= _CLOSE_PERCENT / 100 or time.monotonic() > until:
                break
            share = self.quota.share * max(outcome.factor for outcome in outcomes)
        if previous is not None and len(errors) == 1:
            for model in self._models:
                model.calibrated_ms = model.tries[0].p50_ms
            self._set(share)
        else:
            best = errors.index(min(errors))
            self._go_back_to(best, corrected=errors[best] > _CLOSE_PERCENT / 100)

    def check(self) -> None:
        """Measure each model again, to see whether its time still is the board's.

        Raises:
            OSError: a request was not answered.
        """
        for model in self._models:
            model.check_ms = statistics.median(self._ask(model, _requests(model.target)))

    def pace_step(self, step: int) -> None:
        """Set the pace for the next step of a sequence; nothing to do where all requests have one time.

        The prompt of a generation has a pace of its own; those of the other steps, of which the first and the last one
        are tuned, lie on a straight line.

        Raises:
            OSError: the server does not answer.
        """
        if not self._has_steps:
            return
        tuned = {model.target.step or 0: model.pace_ms for model in self._models}
        later = sorted(number for number in tuned if number)
        pace_ms = tuned[0] if not step else float(np.interp(step, later, [tuned[number] for number in later]))
        if abs(pace_ms - self._step_pace_ms) > _PACE_STEP * pace_ms:
            self._set_pace(pace_ms)

    def heat(self) -> None:
        """Throttle the board to the hot clock of its `thermal` section.

        Raises:
            OSError, DeviceError: the server has ended.
        """
        slower = 1.0
        for model in self._models:
            heated_ms = model.target.heated_ms or model.target.time_ms
            slower = max(slower, heated_ms / model.time_ms)
            model.pace_ms += heated_ms - model.time_ms
            model.time_ms = heated_ms
        self.heated = True
        self._step_pace_ms = math.inf
        self._set(self.quota.share / slower)

    def record(self) -> ScalingRecord:
        """Return the share, the paces, and how they were found."""
        filled = [m.cpu_ms / self.quota.share / m.time_ms for m in self._models]
        low, high = 100 * min(filled), 100 * min(max(filled), 1.0)
        part = f"{high:.0f} %" if high - low < 1 else f"{low:.0f} to {high:.0f} %"
        method = f"the CPU share makes {part} of the time, the server waits for the rest of each inference's"
        if self._by_pace:
            method = f"the computation fills {part} of the time, without a CPU share; the server waits for the rest"
        return ScalingRecord(
            share=self.quota.share,
            quota_us=self.quota.quota_us,
            period_us=self.quota.period_us,
            threads=self._threads,
            method=method,
            models=tuple(model.record() for model in self._models),
        )

    def _begin(self) -> float:
        """Measure all models at full speed; return the share of the first try."""
        self._dial.limit_cpu(self.quota)
        self._dial.set_pace({})
        for model in self._models:
            self._measure_at_full_speed(model)
            # The rest of a request's time is in the network and the client, which the pace does not slow down.
            model.pace_ms = max(model.target.time_ms - max(model.host_ms - model.cpu_ms, 0.0), 0.0)
        return self._cores if self._by_pace else max(model.share for model in self._models)

    def _begin_at(self, previous: ScalingRecord) -> float:
        for model, before in zip(self._models, previous.models, strict=True):
            model.host_ms, model.cpu_ms, model.pace_ms = before.host_ms, before.host_cpu_ms, before.pace_ms
        return previous.share

    def _measure_at_full_speed(self, model: _ModelState) -> None:
        target = model.target
        warm = self._dial.ask(target, _WARM_UP)
        count = _clamp(math.ceil(_FULL_SPEED_S * 1e3 / min(warm)))
        before = self._dial.cpu_seconds()
        model.host_ms = statistics.median(self._dial.ask(target, count))
        after = self._dial.cpu_seconds()
        # If the host does not report the CPU time, one thread is taken to be busy all the time.
        model.cpu_ms = 1e3 * (after - before) / count if before is not None and after is not None else model.host_ms
        if model.host_ms > _MOST_OF_TARGET * target.time_ms:
            too_close = "" if model.host_ms > target.time_ms else "without a fifth of that to spare "
            raise HostTooSlow(
                f"this host takes {model.host_ms:.3g} ms for a request of {target.model.name}, the board "
                f"{target.time_ms:.3g} ms: {too_close}it cannot be slowed down to that",
                fix="use a faster host, or `execution=emulated`, whose times are not the board's",
            )

    def _set(self, share: float) -> None:
        self.quota = CpuQuota.of_share(min(share, self._cores))
        self._dial.limit_cpu(self.quota)
        if not self._has_steps:
            self._dial.set_pace({model.target.model.name: model.pace_ms for model in self._models})

    def _set_pace(self, pace_ms: float) -> None:
        """Set the pace of the only model."""
        self._dial.set_pace({self._models[0].target.model.name: pace_ms})
        self._step_pace_ms = pace_ms

    def _ask(self, model: _ModelState, requests: int) -> list[float]:
        if self._has_steps:
            self._set_pace(model.pace_ms)
        return self._dial.ask(model.target, requests)

    def _go_back_to(self, index: int, *, corrected: bool) -> None:
        """Set the share and the paces of an earlier try.

        Args:
            corrected: set the paces that the try asks for. The time for tuning may end before a try is close: the steps
                of a generation, whose prompt takes seconds, have two or three.
        """
        for model in self._models:
            chosen = model.tries[index]
            model.pace_ms, model.calibrated_ms = chosen.pace_ms, chosen.p50_ms
            if corrected:
                model.pace_ms = model.corrected_ms[index]
        self._set(self._models[0].tries[index].share)

    def _try(self, model: _ModelState, *, settle: bool) -> _Outcome:
        """Measure a model at its present share and pace, and correct the pace for the next try."""
        if settle and model.time_ms < _SETTLE_MS:
            self._ask(model, 2)  # the first requests still see the previous share and pace
        times = np.asarray(self._ask(model, _requests(model.target)))
        low, p50, high = (float(value) for value in np.percentile(times, (10, 50, 90)))
        model.tries.append(
            TuningTry(share=self.quota.share, pace_ms=model.pace_ms, requests=len(times), p50_ms=p50, high_ms=high)
        )
        outcome = self._outcome(model, low, p50, high)
        model.corrected_ms.append(model.pace_ms)
        return outcome

    def _outcome(self, model: _ModelState, low: float, p50: float, high: float) -> _Outcome:
        """Judge the percentiles of a try, and correct the pace of the model."""
        late = high / model.time_ms
        error, too_late = abs(p50 / model.time_ms - 1), late - 1 - _HIGH_PERCENT / 100
        if too_late > 0 and self.quota.share < self._cores:
            # The share causes the slow requests; the pace may cause the fast ones.
            model.pace_ms = max(model.pace_ms - max(low - model.time_ms, 0.0), 0.0)
            return _Outcome(error + too_late, min(max(late, _LEAST_STEP), _LARGEST_STEP))
        # Beside the pace, a request takes at most what it takes at full speed. What is above that is other programs'
        # doing: a pace that made up for it would let the server run ahead of the board once they rest.
        least_ms = max(model.time_ms - model.host_ms, 0.0) if self._by_pace else 0.0
        model.pace_ms = max(model.pace_ms - (p50 - model.time_ms), least_ms)
        return _Outcome(error, 1.0)


def _requests(target: Target) -> int:
    """Return the number of requests that take about `_TRY_S` seconds."""
    return _clamp(math.ceil(_TRY_S * 1e3 / target.time_ms))


def _clamp(requests: int) -> int:
    return max(min(requests, _MOST_REQUESTS), _FEWEST_REQUESTS)


def tune(
    device: ScalableDevice,
    targets: Sequence[Target],
    *,
    threads: int,
    cores: float,
    by_pace: bool = False,
    previous: ScalingRecord | None = None,
) -> Scale:
    """Slow a running server down until its requests take the board's time.

    Args:
        threads: of one inference.
        cores: the most that the device may use, in cores of this host.
        by_pace: see `Scale`.
        previous: see `Scale.find`.

    Raises:
        HostTooSlow: this host takes longer than the board.
        OSError: the server does not answer.
    """
    scale = Scale(DeviceDial(device, targets[0].model), targets, threads=threads, cores=cores, by_pace=by_pace)
    scale.find(previous)
    return scale
