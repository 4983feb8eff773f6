"""The calibration of a target of a board: measured times beside predicted ones, stored for later predictions.

`edgesim.jobs.calibrate` makes a calibration from measured times; this module defines, stores and finds it.
"""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import orjson
from pydantic import BaseModel, ConfigDict, Field

from edgesim import paths, untrusted
from edgesim.errors import DISK_FULL, DiskFull, HostError, ProfileError, of_limit
from edgesim.host import whole_file
from edgesim.options import CPU
from edgesim.profiles import DeviceProfile

# Standard deviation of the logarithm of the ratio between two models on one board: how far apart the errors of
# predictions for published figures are, each model held out. Of an accelerator it is assumed: its kernels differ more.
_BETWEEN_MODELS = 0.10
_BETWEEN_MODELS_OF_ACCELERATOR = 0.15

# Calibrations by target that take the place of this machine's.
_carried: ContextVar[Mapping[str, "Calibration"] | None] = ContextVar("carried", default=None)


class Calibration(BaseModel):
    """Measured times on one target of a board, compared with the predicted ones.

    Attributes:
        profile: reference of the profile, with its power mode.
        target: what the models ran on: ``cpu``, ``gpu:tensorrt-fp16``.
        log_ratios: natural logarithm of measured time over predicted time, one for each of `models`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    profile: str
    profile_sha256: str
    target: Annotated[str, Field(pattern=r"^[a-z0-9]+(:[a-z0-9-]+)?$", max_length=60)] = CPU
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    # No board is a million times slower or faster than predicted.
    log_ratios: Annotated[tuple[Annotated[float, Field(ge=-14, le=14)], ...], Field(min_length=1)]

    @property
    def factor(self) -> float:
        """The factor that every prediction for the target is multiplied by."""
        return math.exp(sum(self.log_ratios) / len(self.log_ratios))

    @property
    def variance(self) -> float:
        """Variance of the logarithm of another model's time; a second model makes it smaller."""
        count = len(self.log_ratios)
        mean = sum(self.log_ratios) / count
        # One prior observation of how models differ, so that two models that agree by chance do not count too much.
        prior = _BETWEEN_MODELS if self.target == CPU else _BETWEEN_MODELS_OF_ACCELERATOR
        between = (prior**2 + sum((ratio - mean) ** 2 for ratio in self.log_ratios)) / count
        return between * (1 + 1 / count)

    @property
    def source(self) -> str:
        """Where the calibration comes from, in words."""
        return f"{', '.join(self.models)} on the board itself"


def path_of(profile: DeviceProfile, target: str = CPU) -> Path:
    """Return the path of the calibration of a board's target. Each power mode has its own.

    The calibration of a user's own profile is beside the profile, to be committed with it. The calibration of a profile
    that comes with edgesim is in the user's configuration, because edgesim may be installed where a user cannot write.
    """
    name = profile.reference.replace(":", "@")
    if target != CPU:
        name += f".{target.replace(':', '-')}"
    if profile.file is not None:
        return profile.file.with_name(f"{name}.calibration.json")
    return paths.configuration_directory() / "calibrations" / f"{name}.json"


@contextmanager
def taken_from(carried: Mapping[str, Calibration]) -> Iterator[None]:
    """Within the block, take these calibrations of one board, by target, and none of this machine's.

    Work for another machine brings the calibrations that were found there.
    """
    token = _carried.set(carried)
    try:
        yield
    finally:
        _carried.reset(token)


def find(profile: DeviceProfile, target: str = CPU) -> Calibration | None:
    """Return the calibration of a board's target; None without one, or if the profile has changed since it was made.

    Raises:
        ProfileError: the file is not what `edgesim calibrate` writes.
    """
    if (carried := _carried.get()) is not None:
        return carried.get(target)
    try:
        path = path_of(profile, target)
    except HostError:  # a user without a home directory has kept none
        return None
    try:
        calibration = Calibration.model_validate(untrusted.read_json(path, untrusted.MIB))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        # HOME may be another user's, as in a container with an arbitrary user: what is in there is not this user's.
        if not os.access(path.parent, os.X_OK):
            return None
        raise ProfileError(f"{path}: cannot read the calibration: {error.strerror}", fix=f"chmod a+r {path}") from error
    except (OSError, ValueError) as error:  # pydantic's ValidationError is a ValueError, too
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise ProfileError(
            f"{path}: not a calibration: {reason}",
            fix=f"remove the file, then: edgesim calibrate {profile.name}",
        ) from error
    if calibration.target != target:
        raise ProfileError(f"{path}: a calibration of {calibration.target}, not of {target}", fix="remove the file")
    return calibration if calibration.profile_sha256 == profile.sha256 else None


def of_board(profile: DeviceProfile) -> dict[str, Calibration]:
    """Return the calibrations of a board's targets that have one, by target.

    Raises:
        ProfileError: as `find`.
    """
    stored = ((target, find(profile, target)) for target in profile.targets)
    return {target: each for target, each in stored if each is not None}


def write(profile: DeviceProfile, calibration: Calibration) -> Path:
    """Store the calibration of a board's target, in place of an earlier one; return its path.

    Raises:
        HostError: the file cannot be written.
    """
    path = path_of(profile, calibration.target)
    # A calibration of the CPU reads as it always has, by older releases, too.
    document = calibration.model_dump(mode="json", exclude={"target"} if calibration.target == CPU else None)
    try:
        whole_file.write(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DiskFull(
                f"{path}: cannot write: {error.strerror}", fix=f"free some space there: df -h {path.parent}"
            ) from error
        problem = f"{path}: cannot write: {error.strerror}"
        raise of_limit(error, problem) or HostError(
            problem,
            fix="copy the profile into a directory of yours; for a profile that comes with edgesim, set "
            "EDGESIM_CONFIG_DIR",
        ) from error
    return path
