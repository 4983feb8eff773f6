"""Calibrations by target: one target's never touches another's, and old files read as the CPU's."""

import json
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.errors import ProfileError
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.profiles import DeviceProfile

FP16 = "gpu:tensorrt-fp16"


@pytest.fixture
def profile(tmp_path: Path) -> DeviceProfile:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: jetson-nano\nname: mine\n")
    return profiles.load(str(path))


def calibration_of(profile: DeviceProfile, ratio: float, target: str = "cpu") -> Calibration:
    return Calibration(
        profile=profile.reference,
        profile_sha256=profile.sha256,
        target=target,
        models=("net",),
        log_ratios=(ratio,),
    )


def test_a_calibration_of_one_target_never_touches_another(profile: DeviceProfile, tmp_path: Path) -> None:
    cpu, gpu = calibration_of(profile, 0.1), calibration_of(profile, 0.5, target=FP16)
    calibration.write(profile, cpu)
    calibration.write(profile, gpu)
    assert calibration.find(profile) == cpu
    assert calibration.find(profile, FP16) == gpu
    assert calibration.find(profile, "gpu:tensorrt-fp32") is None
    assert sorted(file.name for file in tmp_path.glob("*.json")) == [
        "mine.calibration.json",
        "mine.gpu-tensorrt-fp16.calibration.json",
    ]


def test_a_calibration_of_the_cpu_is_written_as_older_releases_read_it(profile: DeviceProfile) -> None:
    path = calibration.write(profile, calibration_of(profile, 0.1))
    assert "target" not in json.loads(path.read_text())


def test_a_calibration_in_the_place_of_another_target_s_is_refused(profile: DeviceProfile) -> None:
    written = calibration.write(profile, calibration_of(profile, 0.5, target=FP16))
    written.rename(calibration.path_of(profile))
    with pytest.raises(ProfileError, match="a calibration of gpu:tensorrt-fp16, not of cpu"):
        calibration.find(profile)


def test_one_model_tells_less_of_an_accelerator_than_of_the_cpu(profile: DeviceProfile) -> None:
    assert calibration_of(profile, 0.5, target=FP16).variance > calibration_of(profile, 0.5).variance
