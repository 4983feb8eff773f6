"""What a native run on one's own board says of the predictions for it."""

import math
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from edgesim import paths
from edgesim.errors import HostError, ProfileError
from edgesim.profiles import DeviceProfile

# Of the logarithm: how far apart the errors of two models on one board are, from the figures held out model by model.
_BETWEEN_MODELS = 0.10


class Calibration(BaseModel):
    """Measured times on one board beside what was predicted for them, as natural logarithms of the ratio."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    profile: str
    profile_sha256: str
    models: tuple[str, ...]
    log_ratios: tuple[float, ...]

    @property
    def factor(self) -> float:
        """What every prediction for the board is multiplied by."""
        return math.exp(sum(self.log_ratios) / len(self.log_ratios))

    @property
    def variance(self) -> float:
        """Of the logarithm of another model's time; a second model says more than one."""
        count = len(self.log_ratios)
        mean = sum(self.log_ratios) / count
        # One prior observation of how models differ keeps two models that agree by chance from saying too much.
        between = (_BETWEEN_MODELS**2 + sum((ratio - mean) ** 2 for ratio in self.log_ratios)) / count
        return between * (1 + 1 / count)

    @property
    def source(self) -> str:
        return f"{', '.join(self.models)} on the board itself"


def path_of(profile: DeviceProfile) -> Path:
    """Where the calibration of a board is kept, for each power mode its own.

    That is beside the user's own profile, to be committed with it; for one that comes with edgesim, and may lie where a
    user cannot write, in the user's configuration.
    """
    name = profile.reference.replace(":", "@")
    if profile.file is not None:
        return profile.file.with_name(f"{name}.calibration.json")
    return paths.configuration_directory() / "calibrations" / f"{name}.json"


def find(profile: DeviceProfile) -> Calibration | None:
    """The calibration of a board, where there is one and the profile is still the one that it was made with.

    Raises:
        ProfileError: its file is not what `edgesim calibrate` writes.
    """
    path = path_of(profile)
    try:
        found = Calibration.model_validate(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        raise ProfileError(
            f"{path}: not a calibration: {str(error).splitlines()[0]}",
            fix=f"remove it, then: edgesim calibrate {profile.name}",
        ) from error
    return found if found.profile_sha256 == profile.sha256 else None


def write(profile: DeviceProfile, calibration: Calibration) -> Path:
    """Keep it; gives its path.

    Raises:
        HostError: it cannot be written there.
    """
    path = path_of(profile)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(calibration.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise HostError(
            f"{path}: cannot write: {error.strerror}",
            fix="a copy of the profile in a directory of yours; EDGESIM_CONFIG_DIR for one that comes with edgesim",
        ) from error
    return path
