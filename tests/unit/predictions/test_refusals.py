"""Notes on what the runtime of a board's accelerator does not take of a model."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from edgesim import profiles
from edgesim.models import repository
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
