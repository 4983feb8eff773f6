"""Calibrating a board's predictions by results that were measured on it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim.errors import UsageError
from edgesim.models import repository
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.prediction import predict
from edgesim.profiles import DeviceProfile
from edgesim.results.run_result import RunResult


@dataclass(frozen=True)
class Kept:
    """What was kept, and where."""

    calibration: Calibration
    path: Path


def calibrate(board: DeviceProfile, results: Sequence[Path], *, models: Path | None = None) -> Kept:
    """Keep what native runs on the board say of the predictions for it; replaces what was kept before.

    Args:
        results: result files of single-stream runs, each of another model.
        models: the repository with the models that were measured; ``models/`` and then the samples without.

    Raises:
        UsageError: a result is of no native run on this board, is invalid, or its model is not the one that is here.
        ResultError: a file is no result. ModelError, ProfileError: as `edgesim.predictions.predict`.
    """
    names, ratios = [], []
    for path in results:
        result = RunResult.read(path)
        measured_ms = _measured_ms(path, result, board)
        subject = repository.find(result.model.name, models)
        if subject.sha256 != result.model.sha256:
            raise UsageError(
                f"{path}: model {result.model.name} here is not the one that was measured",
                fix="--models DIR, with the repository of the run",
            )
        if subject.name in names:
            raise UsageError(f"{path}: a second run of {subject.name}", fix="give one run for each model")
        predicted = predict(board, subject, threads=result.device.intra_op_threads, heed_calibration=False)
        names.append(subject.name)
        ratios.append(math.log(measured_ms / predicted.p50_ms))
    found = Calibration(
        profile=board.reference, profile_sha256=board.sha256, models=tuple(names), log_ratios=tuple(ratios)
    )
    return Kept(calibration=found, path=calibration.write(board, found))


def _measured_ms(path: Path, result: RunResult, board: DeviceProfile) -> float:
    problem = None
    if result.profile.name != board.name or result.profile.mode != board.mode:
        problem = f"is of {result.profile.name}, not of {board.reference}"
    elif result.execution != "native":
        problem = f"is a run of execution {result.execution}; only one on the board itself tells its time"
    elif not result.validity.valid or not result.complete:
        problem = "is INVALID, or was cut short"
    elif result.scenario.name != "single-stream" or result.scenario.clients != 1:
        problem = "has requests side by side, which wait for one another"
    elif result.service_time_ms.p50 is None:
        problem = "has no median"
    if problem is not None or result.service_time_ms.p50 is None:
        run = f"edgesim run {board.reference} MODEL -o {path.name}"
        raise UsageError(f"{path}: {problem}", fix=f"on the board, or with its --context: {run}")
    return result.service_time_ms.p50
