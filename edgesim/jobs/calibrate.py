"""``edgesim calibrate``: makes a calibration of a board's target from times that were measured on the board."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim import predictions
from edgesim.errors import UsageError
from edgesim.jobs import measured_time
from edgesim.jobs.measured_time import MeasuredTime
from edgesim.options import CPU
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.profiles import DeviceProfile
from edgesim.units import format_ms

# No board is a hundred times slower or faster than predicted: somebody gave seconds, or another model.
_MOST_RATIO = 100.0
# A time this many times outside of the band is told: the tails of published figures end before.
_FAR = 1.5


@dataclass(frozen=True)
class StoredCalibration:
    """A calibration, the times that it is made of, in its order, and the file that it was written to."""

    calibration: Calibration
    measured: tuple[MeasuredTime, ...]
    path: Path


def calibrate(
    profile: DeviceProfile,
    measured: Sequence[str | Path],
    *,
    target: str = CPU,
    models: str | Path | None = None,
) -> StoredCalibration:
    """Compare measured times with the predictions for a target, and store the calibration in place of an earlier one.

    Args:
        measured: result files of native single-stream runs, files of trtexec, or words such as ``resnet50=29.3``, each
            of another model; see `edgesim.jobs.measured_time.read`.
        target: what the models ran on; the calibrations of other targets stay as they are.
        models: the repository with the models that were measured; None means ``models/``, then the sample models.

    Raises:
        UsageError: a result is not of a run on a machine that has proven to be this board, is INVALID, or its model
            differs from the one in the repository; or see `edgesim.jobs.measured_time.read`.
        ResultError: a file is not a result.
        ModelError, ProfileError: see `edgesim.predict`.
    """
    times: list[MeasuredTime] = []
    ratios: list[float] = []
    for word in map(str, measured):
        time = measured_time.read(word, profile, target, models=models)
        if time.model.name in [other.model.name for other in times]:
            raise UsageError(f"{word}: a second run of {time.model.name}", fix="give one run for each model")
        ratio, remarks = _log_ratio(time, profile, target)
        times.append(replace(time, remarks=(*time.remarks, *remarks)))
        ratios.append(ratio)
    made = Calibration(
        profile=profile.reference,
        profile_sha256=profile.sha256,
        target=target,
        models=tuple(time.model.name for time in times),
        log_ratios=tuple(ratios),
    )
    return StoredCalibration(calibration=made, measured=tuple(times), path=calibration.write(profile, made))


def _log_ratio(time: MeasuredTime, profile: DeviceProfile, target: str) -> tuple[float, tuple[str, ...]]:
    """Return the natural logarithm of the measured time over the predicted one, and a remark if that is far off.

    Raises:
        UsageError: they are further apart than any board is.
    """
    predicted = predictions.predict(
        profile, time.model, target=target, threads=time.threads, shapes=time.shapes, use_calibration=False
    )
    ms = time.ms
    if time.is_request:
        # The measured time is that of requests; the server's part in it is not the runtime's.
        ms = max(ms - (predicted.request_ms - predicted.p50_ms), ms / 2)
    ratio = ms / predicted.p50_ms
    if not 1 / _MOST_RATIO < ratio < _MOST_RATIO:
        raise UsageError(
            f"{time.model.name}: {time.ms:g} ms measured, {predicted.p50_ms:.3g} ms predicted: {ratio:.2g} times is no "
            "error of a prediction",
            fix="check the unit (milliseconds), the model and the target",
        )
    if predicted.low_ms / _FAR < ms < predicted.high_ms * _FAR:
        return math.log(ratio), ()
    band = f"{format_ms(predicted.low_ms)} to {format_ms(predicted.high_ms)} ms"
    return math.log(ratio), (
        f"far from the 80 % band of the prediction ({band}): was it this network, batch and mode?",
    )
