"""A scaled board: a server of this host's architecture, held back until its requests take as long as the board's.

Two things hold it back. Its **share of the CPU** (of one core) is so small that the computation alone takes nearly the
board's time: what queues, what several models take from each other, and what the CPU is busy with is then as on the
board. And the server's **pace** holds each inference until the board would have done it, because the kernel takes a
share in pieces: it looks at its timer tick, 1 to 10 ms, whether a quota is used up, so a request on a share alone takes
now less, now more.
"""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from edgesim.errors import HostTooSlow
from edgesim.host.cpu_quota import CpuQuota
from edgesim.host.priority import real_time_priority
from edgesim.loadgen import client, generator
from edgesim.loadgen.inputs import Arrays
from edgesim.loadgen.scenario import Scenario, StopRule
from edgesim.loadgen.transport import HttpTransport
from edgesim.models.repository import Model
from edgesim.predictions import Declined, Prediction, predict_or_decline
from edgesim.profiles import DeviceProfile
from edgesim.recording import Reading, Sample
from edgesim.results.sections import ScaledModelSection, ScalingSection, ShareTry

# Of the board's time, what the computation is to fill at its share; the rest is for what the kernel's pieces add.
_FILL = 0.7
# CPU time that a request may find used up before it begins: a thread runs on until the timer tick that stops it.
_DEBT_MS = 3.0
# A host that takes more of the board's time than this cannot be held to it.
_MOST_OF_TARGET = 0.8
_CLOSE_PERCENT = 1.0
# What a tenth of the requests may take beyond the target before the share is raised.
_HIGH_PERCENT = 8.0
_MOST_TRIES = 6
_TRY_S = 1.2
_FEWEST, _MOST = 3, 300
_SETTLE_MS = 1_000.0
_LEAST_STEP, _LARGEST_STEP = 1.15, 1.5
_UNHELD_S = 0.6
_WARM_UP = 3
_LIMIT_S = 10.0
_TIMEOUT_S = 120.0
_PACE = "/edgesim/pace"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A model, a request of it, and the milliseconds that the board takes for that; `heated_ms` at its lower clock."""

    model: Model
    arrays: Arrays
    time_ms: float
    heated_ms: float | None = None


class Dial(Protocol):
    """What a server is held back by, and what comes of it."""

    def limit_cpu(self, quota: CpuQuota) -> None: ...

    def set_pace(self, least_ms: Mapping[str, float]) -> None: ...

    def ask(self, target: Target, requests: int) -> list[float]:
        """The milliseconds that so many requests took at the client, one after the other.

        Raises:
            OSError: one was not answered.
        """

    def cpu_seconds(self) -> float | None:
        """What the server has used of the CPU since it was started; None where nobody tells."""


class ScalableDevice(Protocol):
    """A device whose share of the CPU can be changed while it runs: `edgesim.engine.container.DockerDevice`."""

    @property
    def direct_url(self) -> str: ...

    def limit_cpu(self, quota: CpuQuota) -> None: ...

    def read(self) -> Reading: ...


class DeviceDial:
    """The dial of a running container with edgesim's own server, which serves `model` among others."""

    def __init__(self, device: ScalableDevice, model: Model) -> None:
        self._device, self._model = device, model
        self._url = device.direct_url

    def limit_cpu(self, quota: CpuQuota) -> None:
        self._device.limit_cpu(quota)

    def set_pace(self, least_ms: Mapping[str, float]) -> None:
        with closing(client.Client(self._url, self._model, timeout_s=_TIMEOUT_S)) as peer:
            if not peer.post_json(_PACE, {"least_ms": dict(least_ms)}):
                raise ConnectionError("the server does not take its pace")

    def ask(self, target: Target, requests: int) -> list[float]:
        with closing(client.Client(self._url, target.model, timeout_s=_TIMEOUT_S)) as peer:
            request = peer.on_the_wire(peer.encode(target.arrays))
        samples: list[Sample] = []
        scenario = Scenario(name="single-stream", stop=StopRule(requests=requests))
        with HttpTransport(self._url, connections=1, timeout_s=_TIMEOUT_S) as transport, real_time_priority():
            generator.drive(scenario, transport, [request], into=samples, still_alive=lambda: False)
        if failed := next((sample for sample in samples if not sample.ok), None):
            raise ConnectionError(failed.outcome)
        return [sample.service_time_ms for sample in samples]

    def cpu_seconds(self) -> float | None:
        return self._device.read().cpu_seconds


class _Attempt(NamedTuple):
    """How far a try was from the target, as a part of it, and by what the share is to grow."""

    error: float
    factor: float


@dataclass
class _Scaled:
    """One target on its way: what it takes unheld, what it is held to, and what came of that."""

    target: Target
    time_ms: float  # the board's at its clock of this moment
    host_ms: float = 0.0
    cpu_ms: float = 0.0
    pace_ms: float = 0.0
    tries: list[ShareTry] = field(default_factory=list)
    calibrated_ms: float = 0.0
    check_ms: float | None = None

    @property
    def share(self) -> float:
        """Of one core, at which its computation fills its part of the board's time."""
        return (self.cpu_ms + _DEBT_MS) / (_FILL * self.time_ms)

    def section(self) -> ScaledModelSection:
        error = self.check_ms / self.time_ms - 1 if self.check_ms is not None else None
        return ScaledModelSection(
            name=self.target.model.name,
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
    """What holds a server back to the board's time; `find` first.

    Attributes:
        quota: the CPU that all models together get.
        heated: whether the board is at its lower clock by now.
    """

    def __init__(self, dial: Dial, targets: Sequence[Target], *, threads: int, cores: float) -> None:
        self._dial, self._threads, self._cores = dial, threads, cores
        self._models = [_Scaled(target, target.time_ms) for target in targets]
        self.quota = CpuQuota.of_share(cores)
        self.heated = False

    @property
    def times_ms(self) -> Sequence[float]:
        """What the board takes at its clock of this moment, for each model."""
        return [model.time_ms for model in self._models]

    def find(self, held: ScalingSection | None = None) -> None:
        """Search for the share and the paces.

        The share is that of the model which needs the largest; the others' paces make up for what they have too much.

        Args:
            held: of the same models in an earlier server; the search begins there. Where it ends at once, each server
                has its own last correction even so: what the earlier one was off by would else be in all of them.

        Raises:
            HostTooSlow: unheld, a model takes longer than on the board.
            OSError: a request was not answered.
        """
        share = self._begin() if held is None else self._begin_at(held)
        until = time.monotonic() + _LIMIT_S * len(self._models)
        errors: list[float] = []
        for _ in range(_MOST_TRIES):
            self._set(share)
            found = [self._try(model, settle=time.monotonic() < until) for model in self._models]
            errors.append(max(attempt.error for attempt in found))
            if errors[-1] <= _CLOSE_PERCENT / 100 or time.monotonic() > until:
                break
            share = self.quota.share * max(attempt.factor for attempt in found)
        if held is not None and len(errors) == 1:
            for model in self._models:
                model.calibrated_ms = model.tries[0].p50_ms
            self._set(share)
        else:
            self._go_back_to(errors.index(min(errors)))

    def check(self) -> None:
        """Ask each model again, to see whether the scale holds still.

        Raises:
            OSError: a request was not answered.
        """
        for model in self._models:
            model.check_ms = statistics.median(self._dial.ask(model.target, _requests(model.target)))

    def heat(self) -> None:
        """Go on as the board does at the lower clock of its `thermal` section.

        Raises:
            OSError, DeviceError: the server is gone.
        """
        slower = 1.0
        for model in self._models:
            heated_ms = model.target.heated_ms or model.target.time_ms
            slower = max(slower, heated_ms / model.time_ms)
            model.pace_ms += heated_ms - model.time_ms
            model.time_ms = heated_ms
        self.heated = True
        self._set(self.quota.share / slower)

    def section(self) -> ScalingSection:
        """For the result."""
        filled = [m.cpu_ms / self.quota.share / m.time_ms for m in self._models]
        low, high = 100 * min(filled), 100 * min(max(filled), 1.0)
        part = f"{high:.0f} %" if high - low < 1 else f"{low:.0f} to {high:.0f} %"
        return ScalingSection(
            share=self.quota.share,
            quota_us=self.quota.quota_us,
            period_us=self.quota.period_us,
            threads=self._threads,
            method=f"the CPU share makes {part} of the time, the server waits for the rest of each inference's",
            models=tuple(model.section() for model in self._models),
        )

    def _begin(self) -> float:
        """The share to begin with."""
        self._dial.limit_cpu(self.quota)
        self._dial.set_pace({})
        for model in self._models:
            self._measure_unheld(model)
            # What a request takes beside its computation is on the way, and not in the server's hands.
            model.pace_ms = max(model.target.time_ms - max(model.host_ms - model.cpu_ms, 0.0), 0.0)
        return max(model.share for model in self._models)

    def _begin_at(self, held: ScalingSection) -> float:
        for model, before in zip(self._models, held.models, strict=True):
            model.host_ms, model.cpu_ms, model.pace_ms = before.host_ms, before.host_cpu_ms, before.pace_ms or 0.0
        return held.share

    def _measure_unheld(self, model: _Scaled) -> None:
        target = model.target
        warm = self._dial.ask(target, _WARM_UP)
        count = max(min(math.ceil(_UNHELD_S * 1e3 / min(warm)), _MOST), _FEWEST)
        before = self._dial.cpu_seconds()
        model.host_ms = statistics.median(self._dial.ask(target, count))
        after = self._dial.cpu_seconds()
        # Where nobody tells, one thread was busy all the time.
        model.cpu_ms = 1e3 * (after - before) / count if before is not None and after is not None else model.host_ms
        if model.host_ms > _MOST_OF_TARGET * target.time_ms:
            too_close = "" if model.host_ms > target.time_ms else "without a fifth of that to spare "
            raise HostTooSlow(
                f"this host takes {model.host_ms:.3g} ms for model {target.model.name}, the board "
                f"{target.time_ms:.3g} ms: {too_close}it cannot be slowed down to that",
                fix="a faster host, or --execution emulated, which says nothing about time",
            )

    def _set(self, share: float) -> None:
        self.quota = CpuQuota.of_share(min(share, self._cores))
        self._dial.limit_cpu(self.quota)
        self._dial.set_pace({model.target.model.name: model.pace_ms for model in self._models})

    def _go_back_to(self, attempt: int) -> None:
        """Hold the models as in one of the tries."""
        for model in self._models:
            chosen = model.tries[attempt]
            assert chosen.pace_ms is not None, "every try has one"
            model.pace_ms, model.calibrated_ms = chosen.pace_ms, chosen.p50_ms
        self._set(self._models[0].tries[attempt].share)

    def _try(self, model: _Scaled, *, settle: bool) -> _Attempt:
        """Ask a model as it is held now, and correct its pace for the next try."""
        if settle and model.time_ms < _SETTLE_MS:
            self._dial.ask(model.target, 2)  # what the last setting has left behind
        times = np.asarray(self._dial.ask(model.target, _requests(model.target)))
        low, p50, high = (float(found) for found in np.percentile(times, (10, 50, 90)))
        model.tries.append(
            ShareTry(share=self.quota.share, pace_ms=model.pace_ms, requests=len(times), p50_ms=p50, high_ms=high)
        )
        late = high / model.time_ms
        error, too_late = abs(p50 / model.time_ms - 1), late - 1 - _HIGH_PERCENT / 100
        if too_late > 0 and self.quota.share < self._cores:
            # The slow ones are the share's doing; of the quick ones the pace may be.
            model.pace_ms = max(model.pace_ms - max(low - model.time_ms, 0.0), 0.0)
            return _Attempt(error + too_late, min(max(late, _LEAST_STEP), _LARGEST_STEP))
        model.pace_ms = max(model.pace_ms - (p50 - model.time_ms), 0.0)
        return _Attempt(error, 1.0)


def _requests(target: Target) -> int:
    """For about `_TRY_S` seconds."""
    return max(min(math.ceil(_TRY_S * 1e3 / target.time_ms), _MOST), _FEWEST)


def calibrate(
    device: ScalableDevice,
    targets: Sequence[Target],
    *,
    threads: int,
    cores: float,
    held: ScalingSection | None = None,
) -> Scale:
    """Hold a running server back until its requests take as long as the board's.

    Args:
        threads: of one inference.
        cores: what the device may use of this host at most.
        held: see `Scale.find`.

    Raises:
        HostTooSlow: this host takes longer than the board.
        OSError: the server does not answer.
    """
    scale = Scale(DeviceDial(device, targets[0].model), targets, threads=threads, cores=cores)
    scale.find(held)
    return scale


def predicted(
    profile: DeviceProfile, model: Model, arrays: Arrays, *, use_calibration: bool = True
) -> Prediction | Declined:
    """Predict the device time of a request with these inputs, see `edgesim.predict`."""
    sizes = {tensor.name: arrays[tensor.name].shape for tensor in model.inputs if -1 in tensor.shape}
    return predict_or_decline(profile, model, shapes=sizes, use_calibration=use_calibration)


def target(profile: DeviceProfile, model: Model, arrays: Arrays, prediction: Prediction) -> Target:
    """What a model is to take on `profile`, as predicted, and at the clock that heat leaves it."""
    heated_ms = None
    if profile.thermal is not None:
        # By the ratio, since a calibration is of the board at its full clock.
        cool, hot = (predicted(board, model, arrays, use_calibration=False) for board in (profile, profile.heated()))
        assert isinstance(cool, Prediction), "as `prediction` was"
        assert isinstance(hot, Prediction), "as `prediction` was"
        heated_ms = prediction.p50_ms * hot.p50_ms / cool.p50_ms
    return Target(model=model, arrays=arrays, time_ms=prediction.p50_ms, heated_ms=heated_ms)
