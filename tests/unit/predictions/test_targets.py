"""Targets of a board: all of them predicted, one of them chosen, and those of which nothing can be said."""

from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from edgesim.errors import ModelError, UsageError
from edgesim.models import profiled_session
from edgesim.models.repository import Model
from edgesim.predictions import Declined, Prediction, predict, predict_targets, predictor
from tests.support.targets import FixedGpu
from tests.unit.predictions.test_arithmetic import model

GPU = ("gpu:tensorrt-fp16", "gpu:tensorrt-fp32", "gpu:tensorrt-int8")


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "PREDICTORS", (*predictor.PREDICTORS[:1], FixedGpu(3.0)))


@pytest.mark.usefixtures("_gpu")
def test_all_targets_of_a_board_are_predicted_the_cpu_first(digits: Model) -> None:
    targets = predict_targets("jetson-orin-nx", digits)
    assert tuple(targets) == ("cpu", *GPU, "dla")
    for name in ("cpu", *GPU[:2]):
        prediction = targets[name]
        assert isinstance(prediction, Prediction)
        assert prediction.target == name
    declined = targets[GPU[2]]
    assert isinstance(declined, Declined)
    assert declined.reason == "no fast path for int8"


@pytest.mark.usefixtures("_gpu")
def test_a_target_is_chosen_by_its_name(digits: Model) -> None:
    assert predict("jetson-nano", digits, target=GPU[0]).p50_ms == 3.0
    assert repr(predict("jetson-nano", digits, target=GPU[1])).startswith("<Prediction: device time 6.00 ms")
    assert predict("jetson-nano", digits).target == "cpu"


@pytest.mark.parametrize(
    ("profile", "target"), [("jetson-orin-nx", "dla"), ("rk3588", "npu"), ("coral-dev-board", "npu")]
)
def test_an_accelerator_without_figures_is_named_with_the_reason(profile: str, target: str, digits: Model) -> None:
    declined = predict_targets(profile, digits)[target]
    assert isinstance(declined, Declined)
    assert declined.reason.startswith("no figures that a prediction for ")


def test_a_board_without_an_accelerator_has_the_cpu_alone(digits: Model) -> None:
    assert tuple(predict_targets("raspberry-pi-4", digits)) == ("cpu",)
    with pytest.raises(UsageError):
        predict("raspberry-pi-4", digits, target=GPU[0])


def test_all_targets_of_a_board_share_one_run_on_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Identity", ["n"], ["y"])]
    nonzero = model(tmp_path / "n.onnx", nodes, {"x": [4, 4]}, types={"y": TensorProto.INT64})
    profile, runs = profiled_session.profile, []

    def counted(*arguments: Any, **keywords: Any) -> profiled_session.ProfiledRuns:
        runs.append(arguments)
        return profile(*arguments, **keywords)

    monkeypatch.setattr(profiled_session, "profile", counted)
    targets = predict_targets("jetson-orin-nx", nonzero)
    assert sum(isinstance(answer, Prediction) for answer in targets.values()) == 4
    assert len(runs) == 1


def test_a_run_that_fails_is_not_tried_again_for_the_next_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Identity", ["n"], ["y"])]
    nonzero = model(tmp_path / "n.onnx", nodes, {"x": [4, 4]}, types={"y": TensorProto.INT64})
    runs = []

    def failing(*arguments: Any, **_: Any) -> Path:
        runs.append(arguments)
        raise ModelError("it takes too long")

    monkeypatch.setattr(profiled_session, "profile", failing)
    targets = predict_targets("jetson-orin-nx", nonzero)
    reasons = {answer.reason for answer in targets.values() if isinstance(answer, Declined)}
    assert any("it takes too long" in reason for reason in reasons)
    assert len(runs) == 1
