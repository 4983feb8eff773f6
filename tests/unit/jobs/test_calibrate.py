"""Calibration of a board's target by measured times: numbers, results and what trtexec wrote."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesim import predictions, profiles
from edgesim.errors import UsageError
from edgesim.jobs import measured_time
from edgesim.jobs.calibrate import StoredCalibration, calibrate
from edgesim.models import repository
from edgesim.predictions import Prediction, calibration
from edgesim.profiles import DeviceProfile
from tests.support import trtexec

FP16 = "gpu:tensorrt-fp16"
# As the sample model has it.
INPUTS, OUTPUTS = {"image": "1x3x224x224"}, {"logits": "1x1000"}


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGESIM_CONFIG_DIR", str(tmp_path / "configuration"))


@pytest.fixture
def nano() -> DeviceProfile:
    return profiles.load("jetson-nano")


@pytest.fixture(autouse=True)
def ten_milliseconds(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Predict 10 ms for everything; return the questions that were asked."""
    asked: list[dict[str, Any]] = []

    def predict(_profile: DeviceProfile, _model: object, **options: Any) -> Prediction:
        asked.append(options)
        return Prediction(p50_ms=10.0, low_ms=8.0, high_ms=12.0, method="fixed", threads=1)

    monkeypatch.setattr(predictions, "predict", predict)
    return asked


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., str]:
    def write(**options: Any) -> str:
        path = tmp_path / "trtexec.log"
        path.write_text(trtexec.log(**{"inputs": INPUTS, "outputs": OUTPUTS, **options}))
        return str(path)

    return write


def ratio(stored: StoredCalibration) -> float:
    return math.exp(stored.calibration.log_ratios[0])


@pytest.mark.parametrize("word", ["resnet18=15", "resnet18=15ms", "resnet18=0.015s", "resnet18=15.0 ms"])
def test_a_number_calibrates_a_target(nano: DeviceProfile, word: str) -> None:
    stored = calibrate(nano, [word], target=FP16)
    assert ratio(stored) == pytest.approx(1.5)
    assert stored.path == calibration.path_of(nano, FP16)
    assert calibration.find(nano, FP16) == stored.calibration
    assert calibration.find(nano) is None, "the CPU's is another one"


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("resnet18=", "neither a time nor a file"),
        ("resnet18=fast", "neither a time nor a file"),
        ("resnet18=-3", "is not the time of an inference"),
        ("resnet18=nan", "is not the time of an inference"),
        ("resnet18=inf", "is not the time of an inference"),
        ("resnet18", "the measured time is missing"),
        ("=3", "no such file, nor MODEL=TIME"),
        ("nothing-here", "no such file, nor MODEL=TIME"),
        ("resnet18=11400", "is no error of a prediction"),
    ],
)
def test_a_word_that_is_no_measured_time_is_refused(nano: DeviceProfile, word: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        calibrate(nano, [word], target=FP16)
    assert calibration.find(nano, FP16) is None


def test_a_log_of_trtexec_names_its_model_and_shapes(
    nano: DeviceProfile, log: Callable[..., str], ten_milliseconds: list[dict[str, Any]]
) -> None:
    stored = calibrate(nano, [log(median_ms=11.4)], target=FP16)
    assert stored.calibration.models == ("resnet18",)
    assert ratio(stored) == pytest.approx(1.14)
    assert stored.measured[0].remarks == ()
    assert ten_milliseconds[0]["shapes"] == {"image": (1, 3, 224, 224)}
    assert ten_milliseconds[0]["use_calibration"] is False


@pytest.mark.parametrize(
    "path", ["/x/resnet18-sim.onnx", r"C:\nets\ResNet18.onnx", "resnet18/1/model.onnx", "model.onnx"]
)
def test_the_same_network_under_another_file_name_is_taken(
    nano: DeviceProfile, log: Callable[..., str], path: str
) -> None:
    stored = calibrate(nano, [f"resnet18={log(model=path)}"], target=FP16)
    assert ratio(stored) == pytest.approx(1.14)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"model": "/x/yolov8n.onnx"}, "of another network than resnet18: its model is /x/yolov8n.onnx"),
        ({"model": "/x/resnet50.onnx"}, "its model is /x/resnet50.onnx"),
        ({"engine": "yolov8n.engine"}, "its engine is yolov8n.engine"),
        ({"inputs": {"images": "1x3x224x224"}}, "its inputs are images, the model's image"),
        ({"inputs": {"image": "1x3x640x640"}}, "its input image has the shape 1x3x640x640, the model's [?]x3x224x224"),
        ({"outputs": {"output0": "1x84x8400"}}, "its outputs are output0"),
        ({"outputs": {"logits": "1x10"}}, "its output logits has the shape 1x10"),
    ],
)
def test_a_log_of_another_network_is_refused(
    nano: DeviceProfile, log: Callable[..., str], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        calibrate(nano, [f"resnet18={log(**options)}"], target=FP16)
    assert calibration.find(nano, FP16) is None


@pytest.mark.parametrize(
    ("target", "options", "problem"),
    [
        (FP16, {"precision": "FP32"}, "was built for fp32, not for fp16"),
        ("gpu:tensorrt-fp32", {}, "was built for fp16, not for fp32"),
        ("cpu", {}, "is of TensorRT, and says nothing of cpu"),
        (FP16, {"capability": "8.6"}, "compute capability 8.6, the board's has 5.3"),
        (FP16, {"model": "/x/other.onnx"}, "names /x/other.onnx, which is no model here"),
        (FP16, {"ending": ""}, "is cut off"),
        (FP16, {"ending": "FAILED"}, "trtexec failed"),
    ],
)
def test_a_log_of_another_target_or_without_a_time_is_refused(
    nano: DeviceProfile, log: Callable[..., str], target: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        calibrate(nano, [log(**options)], target=target)


def test_remarks_say_what_the_log_leaves_open_or_has_otherwise(log: Callable[..., str]) -> None:
    remarks = " ".join(measured_time.read(log(engine="resnet18.engine"), profiles.load("jetson-nano:5w"), FP16).remarks)
    assert "does not say for which precision" in remarks
    assert "measured at 921.6 MHz; jetson-nano:5w has 640 MHz" in remarks
    newer = measured_time.read(log(release="10.3"), profiles.load("jetson-nano"), FP16).remarks
    assert newer == ("measured with TensorRT 10.3.0; the board's system comes with 8.2",)


def test_a_batch_of_a_log_is_told_and_asked_of_the_prediction(
    nano: DeviceProfile, log: Callable[..., str], ten_milliseconds: list[dict[str, Any]]
) -> None:
    stored = calibrate(
        nano, [log(inputs={"image": "8x3x224x224"}, outputs={"logits": "8x1000"}, median_ms=10.0)], target=FP16
    )
    assert ten_milliseconds[0]["shapes"] == {"image": (8, 3, 224, 224)}
    assert stored.measured[0].remarks == (
        "measured with image of 8x3x224x224, and compared with a prediction for that",
    )


@pytest.mark.parametrize(("ms", "is_far"), [(5.2, True), (5.5, False), (17.5, False), (18.5, True)])
def test_a_time_far_from_the_band_is_told(nano: DeviceProfile, ms: float, is_far: bool) -> None:
    remarks = calibrate(nano, [f"resnet18={ms}"], target=FP16).measured[0].remarks
    assert any("far from the 80 % band of the prediction (8.00 to 12.0 ms)" in each for each in remarks) == is_far


def test_exported_files_are_taken_for_the_model_that_is_named(nano: DeviceProfile, tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    path.write_text(trtexec.export_times(11.4))
    assert ratio(calibrate(nano, [f"resnet18={path}"], target=FP16)) == pytest.approx(1.14)
    with pytest.raises(UsageError, match="names no model"):
        calibrate(nano, [str(path)], target=FP16)


def test_a_profile_of_another_network_s_layers_is_refused(nano: DeviceProfile, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    model = repository.find("resnet18")
    name = next(node.name for node in repository.parse(model.path).graph.node if node.op_type == "Conv")
    path.write_text(trtexec.export_profile({f"{name} + relu": 9.0, "Reformatting CopyNode": 0.5}))
    assert ratio(calibrate(nano, [f"resnet18={path}"], target=FP16)) == pytest.approx(0.95)
    path.write_text(trtexec.export_profile({"/model.0/conv/Conv + silu": 9.0}))
    with pytest.raises(UsageError, match="none of its 1 layers has a node of the model"):
        calibrate(nano, [f"resnet18={path}"], target=FP16)


def test_two_times_of_one_model_are_refused(nano: DeviceProfile) -> None:
    with pytest.raises(UsageError, match="a second run of resnet18"):
        calibrate(nano, ["resnet18=11", "resnet18=12"], target=FP16)


def test_a_name_with_an_equals_sign_is_a_file_where_there_is_one(nano: DeviceProfile, log: Callable[..., str]) -> None:
    path = Path(log())
    named = path.with_name("a=b.log")
    shutil.move(path, named)
    assert ratio(calibrate(nano, [str(named)], target=FP16)) == pytest.approx(1.14)
