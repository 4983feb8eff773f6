"""Notes on what the runtime of a board's accelerator does not take of a model."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import edgesim
from edgesim import profiles
from edgesim.errors import ModelError
from edgesim.models import repository, trial_load
from edgesim.predictions import Prediction
from edgesim.predictions.refusals import refusal_notes


@pytest.mark.parametrize(
    ("board", "target", "noted"),
    [
        ("jetson-nano", "gpu:tensorrt-fp16", True),
        ("jetson-orin-nano", "gpu:tensorrt-fp16", False),
        ("jetson-nano", "cpu", False),
        ("rk3588", "npu", False),
    ],
)
def test_an_operation_that_the_board_s_release_lacks_is_noted(
    tmp_path: Path, board: str, target: str, noted: bool
) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("HardSwish", ["x"], ["y"], name="act")], "net", [x], [y])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
    notes = refusal_notes(profiles.load(board), repository.find(str(path)), target)
    assert len(notes) == noted
    if noted:
        assert "TensorRT 8.2 does not take HardSwish (1 node, act): not among its operators" in notes[0]


@pytest.mark.parametrize(("ir_version", "notes"), [(8, 0), (99, 1)])
def test_a_file_that_no_release_of_onnx_runtime_loads_is_noted(tmp_path: Path, ir_version: int, notes: int) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=ir_version)
    onnx.save(model, tmp_path / "net.onnx")
    said = refusal_notes(profiles.load("raspberry-pi-4"), repository.find(str(tmp_path / "net.onnx")), "cpu")
    assert len(said) == notes
    if said:
        assert said[0].startswith("no release of ONNX Runtime up to ")
        assert "loads the model: IR version 99; it loads up to " in said[0]


def _relu(path: Path, *, names: tuple[str, str] = ("first", "second"), kind: int = TensorProto.FLOAT) -> Path:
    """Write a model of two nodes, of which inference knows all sizes."""
    x, y = (helper.make_tensor_value_info(name, kind, [1, 4]) for name in "xy")
    nodes = [helper.make_node("Relu", [a], [b], name=n) for a, b, n in zip("xp", "py", names, strict=True)]
    graph = helper.make_graph(nodes, "net", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_model_that_onnx_runtime_does_not_load_has_no_time(tmp_path: Path) -> None:
    twice = _relu(tmp_path / "twice.onnx", names=("same", "same"))
    with pytest.raises(ModelError, match=r"does not load it: .*two nodes with same node name \(same\)"):
        edgesim.predict("raspberry-pi-4", twice)
    of_bools = _relu(tmp_path / "bools.onnx", kind=TensorProto.BOOL)
    with pytest.raises(ModelError, match=r"does not load it: .*Type 'tensor\(bool\)'"):
        edgesim.predict("raspberry-pi-4", of_bools)
    assert edgesim.predict("raspberry-pi-4", _relu(tmp_path / "good.onnx")).p50_ms > 0


def test_a_kernel_that_only_a_processor_lacks_does_not_refuse_the_model_to_a_gpu(tmp_path: Path) -> None:
    # ONNX has Relu of 16-bit integers, and ONNX Runtime has no kernel for them.
    targets = edgesim.predict_targets("jetson-nano", _relu(tmp_path / "int16.onnx", kind=TensorProto.INT16))
    assert "Could not find an implementation for Relu" in str(targets["cpu"])
    assert isinstance(targets["gpu:tensorrt-fp16"], Prediction)
    targets = edgesim.predict_targets("jetson-nano", _relu(tmp_path / "twice.onnx", names=("same", "same")))
    assert not any(isinstance(answer, Prediction) for answer in targets.values())


def test_a_model_is_tried_once_for_all_boards_and_again_after_a_change(tmp_path: Path) -> None:
    path = _relu(tmp_path / "net.onnx")
    tried = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_load, "failure", lambda model: tried.append(model.path))
        for board in ("raspberry-pi-4", "raspberry-pi-5", "jetson-nano"):
            edgesim.predict_targets(board, path)
        assert len(tried) == 1
        _relu(path, names=("another", "name"))
        edgesim.predict("raspberry-pi-4", path)
    assert len(tried) == 2
