"""Predictions for GPU targets: what changes them, what widens the band, and what is declined."""

import math
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model

from edgesim import profiles
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.predictions import Declined, Prediction, calibration, predict
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.tensorrt.predictor import TensorRtGpu
from edgesim.profiles import DeviceProfile

FP16, FP32, INT8 = (f"gpu:tensorrt-{precision}" for precision in ("fp16", "fp32", "int8"))
# Boards without a published figure are predicted from their facts.
BOARDS = ("jetson-nano", "jetson-tx2-nx", "jetson-xavier-nx", "jetson-orin-nano", "jetson-agx-orin", "jetson-agx-thor")


@pytest.mark.parametrize("board", BOARDS)
def test_every_jetson_is_predicted_in_fp16_quicker_than_in_fp32(board: str, resnet18: Model) -> None:
    fp16, fp32 = (predict(board, resnet18, target=target) for target in (FP16, FP32))
    assert fp16.low_ms < fp16.p50_ms < fp16.high_ms
    assert fp16.p50_ms < fp32.p50_ms
    assert fp16.p50_ms == pytest.approx(sum(time.ms for time in fp16.nodes), rel=0.1)


def test_precisions_of_one_gpu_share_the_words_of_their_method(resnet18: Model) -> None:
    """A report says once what several targets share; the target's name has the precision."""
    methods = {predict("jetson-orin-nano", resnet18, target=target).method for target in (FP16, FP32, INT8)}
    (method,) = methods
    assert "as TensorRT 10.3 would run it on Ampere GPU" in method


def test_a_gpu_is_many_times_as_quick_as_the_boards_cores(resnet18: Model) -> None:
    assert 8 < predict("jetson-nano", resnet18).p50_ms / predict("jetson-nano", resnet18, target=FP16).p50_ms < 40


@pytest.mark.parametrize(
    ("slower", "quicker"),
    [
        ("jetson-nano:5w", "jetson-nano"),
        ("jetson-orin-nano:7w", "jetson-orin-nano"),
        ("jetson-orin-nano", "jetson-orin-nano:super"),
        ("jetson-agx-orin:15w", "jetson-agx-orin:30w"),
    ],
)
def test_a_power_mode_changes_the_time(slower: str, quicker: str, resnet18: Model) -> None:
    assert predict(slower, resnet18, target=FP16).p50_ms > 1.2 * predict(quicker, resnet18, target=FP16).p50_ms


@pytest.mark.parametrize("change", ["units", "clock_hz", "bandwidth"])
def test_units_clock_and_bandwidth_tell_each_by_itself(change: str, resnet18: Model) -> None:
    profile = profiles.load("jetson-agx-orin")
    gpu, *others = profile.accelerators
    if change == "bandwidth":
        memory = profile.memory.model_copy(update={"bandwidth_bytes_per_s": 50_000_000_000})
        slower = profile.model_copy(update={"memory": memory})
    else:
        half = gpu.model_copy(update={change: getattr(gpu, change) // 2})
        slower = profile.model_copy(update={"accelerators": (half, *others)})
    assert fp16_ms(slower, resnet18) > 1.05 * fp16_ms(profile, resnet18)


def test_a_calibration_of_the_target_corrects_it_and_narrows_the_band(
    resnet18: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESIM_CONFIG_DIR", str(tmp_path))
    profile = profiles.load("jetson-xavier-nx")
    before, of_cpu = (predict(profile, resnet18, target=target) for target in (FP16, "cpu"))
    ratio = math.log(1.5)
    stored = Calibration(
        profile=profile.reference,
        profile_sha256=profile.sha256,
        target=FP16,
        models=("a", "b"),
        log_ratios=(ratio, ratio),
    )
    calibration.write(profile, stored)
    after = predict(profile, resnet18, target=FP16)
    assert after.p50_ms == pytest.approx(1.5 * before.p50_ms)
    assert after.high_ms / after.p50_ms < before.high_ms / before.p50_ms
    assert "calibrated by a, b" in after.method
    assert predict(profile, resnet18, target=FP16, use_calibration=False) == before
    assert predict(profile, resnet18) == of_cpu


def fp16_ms(profile: DeviceProfile, model: Model) -> float:
    answer = TensorRtGpu().predict(profile, ModelReader(model), target=FP16)
    assert isinstance(answer, Prediction)
    return answer.p50_ms


@pytest.mark.parametrize("board", ["jetson-nano", "jetson-tx2"])
def test_int8_without_a_fast_path_is_declined_with_the_reason(board: str, digits: Model) -> None:
    answer = TensorRtGpu().predict(profiles.load(board), ModelReader(digits), target=INT8)
    assert isinstance(answer, Declined)
    assert "no int8 on" in answer.reason
    assert "no fast path" in answer.reason


def test_a_fact_that_the_profile_lacks_is_named(digits: Model) -> None:
    profile = profiles.load("jetson-nano")
    gpu = profile.accelerators[0].model_copy(update={"units": None})
    answer = TensorRtGpu().predict(
        profile.model_copy(update={"accelerators": (gpu,)}), ModelReader(digits), target=FP16
    )
    assert isinstance(answer, Declined)
    assert "accelerators.gpu.units" in answer.reason


def test_a_board_without_figures_has_a_wider_band_and_says_so(resnet18: Model) -> None:
    seen, unseen = (predict(board, resnet18, target=FP16) for board in ("jetson-agx-xavier", "jetson-xavier-nx"))
    assert unseen.high_ms / unseen.p50_ms > seen.high_ms / seen.p50_ms
    assert any("no published figure of TensorRT on NVIDIA Jetson Xavier NX" in note for note in unseen.notes)
    assert not any("no published figure of TensorRT on" in note for note in seen.notes)


def test_a_board_whose_figures_come_from_one_source_says_so(resnet18: Model) -> None:
    one, several = (predict(board, resnet18, target=FP16) for board in ("jetson-agx-thor", "jetson-agx-xavier"))
    assert any("come from one source, ultralytics/ultralytics" in note for note in one.notes)
    assert not any("from one source" in note for note in several.notes)


def test_a_model_of_attention_has_a_wider_band_and_says_so(tmp_path: Path, resnet18: Model) -> None:
    weights = {name: np.zeros((384, 384), np.float32) for name in "qkv"}
    nodes = [helper.make_node("MatMul", ["x", name], [f"{name}x"]) for name in "qkv"]
    nodes += [
        helper.make_node("Transpose", ["kx"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["qx", "kt"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "vx"], ["y"]),
    ]
    proto = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 512, 384])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    save_model(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    attention = predict("jetson-orin-nano", repository.read(tmp_path / "a.onnx", name="a"), target=FP16)
    plain = predict("jetson-orin-nano", resnet18, target=FP16)
    assert attention.high_ms / attention.p50_ms > plain.high_ms / plain.p50_ms
    assert any(note.startswith("softmax and attention: ") for note in attention.notes)


def test_small_networks_are_told_to_be_ruled_by_launches(digits: Model) -> None:
    prediction = predict("jetson-agx-orin", digits, target=FP16)
    assert any("is launches of" in note for note in prediction.notes)
    assert {time.bound for time in prediction.nodes} == {"launch"}


def test_a_batch_takes_less_than_as_many_inferences(resnet18: Model) -> None:
    one, eight = (predict("jetson-orin-nano", resnet18, target=FP16, batch=batch) for batch in (1, 8))
    assert 2 * one.p50_ms < eight.p50_ms < 8 * one.p50_ms
    assert eight.batch == 8


def test_an_operation_of_unknown_cost_needs_no_run_on_this_host(tmp_path: Path) -> None:
    """On a GPU, Softplus is one kernel of many; only the CPU's predictor has to time it."""
    nodes = [helper.make_node("Softplus", ["x"], ["y"])]
    proto = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    save_model(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "s.onnx")
    prediction = predict("jetson-nano", repository.read(tmp_path / "s.onnx", name="s"), target=FP16)
    assert prediction.sizes == "inference"


def test_an_architecture_without_figures_has_a_wider_band_and_says_so(resnet18: Model) -> None:
    profile = profiles.load("jetson-agx-orin")
    gpu = profile.accelerators[0].model_copy(update={"architecture": "ada"})
    other = profile.model_copy(update={"accelerators": (gpu,)})
    seen, unseen = (TensorRtGpu().predict(each, ModelReader(resnet18), target=FP16) for each in (profile, other))
    assert isinstance(seen, Prediction)
    assert isinstance(unseen, Prediction)
    assert unseen.high_ms / unseen.p50_ms > 1.1 * seen.high_ms / seen.p50_ms
    assert any("no published figure of a GPU of architecture ada" in note for note in unseen.notes)
