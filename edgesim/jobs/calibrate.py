"""``edgesim calibrate``: makes a board's calibration from results that were measured on the board."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim import predictions
from edgesim.errors import UsageError
from edgesim.models import repository
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.profiles import DeviceProfile
from edgesim.results.run_result import RunResult


@dataclass(frozen=True)
class StoredCalibration:
    """A calibration, and the file that it was written to."""

    calibration: Calibration
    path: Path


def calibrate(
    profile: DeviceProfile, results: Sequence[str | Path], *, models: str | Path | None = None
) -> StoredCalibration:
    """Compare native runs with the predictions for the board, and store the calibration in place of an earlier one.

    Args:
        results: result files of native single-stream runs, each of another model.
        models: the repository with the models that were measured; None means ``models/``, then the sample models.

    Raises:
        UsageError: a result is not of a run on a machine that has proven to be this board, is INVALID, or its model
            differs from the one in the repository.
        ResultError: a file is not a result.
        ModelError, ProfileError: see `edgesim.predict`.
    """
    names: list[str] = []
    ratios: list[float] = []
    for path in map(Path, results):
        result = RunResult.read(path)
        measured_ms = _measured_ms(path, result, profile)
        model = repository.find(result.model.name, models)
        if model.sha256 != result.model.sha256:
            raise UsageError(
                f"{path}: model {result.model.name} here is not the one that was measured",
                fix="`models=DIR`, with the repository of the run",
            )
        if model.name in names:
            raise UsageError(f"{path}: a second run of {model.name}", fix="give one run for each model")
        predicted = predictions.predict(profile, model, threads=result.device.intra_op_threads, use_calibration=False)
        names.append(model.name)
        # The measured time is that of requests; the server's part in it is not the runtime's.
        server_ms = predicted.request_ms - predicted.p50_ms
        ratios.append(math.log(max(measured_ms - server_ms, measured_ms / 2) / predicted.p50_ms))
    made = Calibration(
        profile=profile.reference, profile_sha256=profile.sha256, models=tuple(names), log_ratios=tuple(ratios)
    )
    return StoredCalibration(calibration=made, path=calibration.write(profile, made))


def _measured_ms(path: Path, result: RunResult, profile: DeviceProfile) -> float:
    """Return the median service time of a run that shows the board's time.

    Raises:
        UsageError: the run does not.
    """
    problem = None
    if result.profile.name != profile.name or result.profile.mode != profile.mode:
        problem = f"is of {result.profile.name}, not of {profile.reference}"
    elif result.time_origin != "board":
        problem = f"is {_whose(result)}; only a run on the board itself shows the board's time"
    elif not result.validity.valid or not result.complete:
        problem = "is INVALID, or was cut short"
    elif result.scenario.name != "single-stream" or result.scenario.clients != 1:
        problem = "has concurrent requests, which wait for each other"
    elif result.service_time_ms.p50 is None:
        problem = "has no median"
    if problem is not None or result.service_time_ms.p50 is None:
        run = f"edgesim run {profile.reference} MODEL -o {path.name}"
        raise UsageError(f"{path}: {problem}", fix=f"on the board, or with its `context`: {run}")
    return result.service_time_ms.p50


def _whose(result: RunResult) -> str:
    """Return what a run on another machine than the board is, and why the machine was not taken for the board."""
    if result.profile.has_core_of_host:
        return f"of {result.profile.name}, which has the core of its host: its time is that host's"
    if result.execution != "same-architecture":
        return f"a run of execution {result.execution}"
    differences = "; ".join(
        f"{each.name} {each.host or 'not reported'}, the board's {each.profile or 'is not in the profile'}"
        for each in result.host.compared
        if each.stands_against
    )
    return "a run on a machine that has not proven to be the board" + (f" ({differences})" if differences else "")
