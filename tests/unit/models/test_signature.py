"""Inputs and outputs of a model: their types and sizes, and types that are refused."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

from edgesim.errors import ModelError
from edgesim.models import repository


def test_a_size_of_zero_is_a_size(tmp_path: Path) -> None:
    cache = helper.make_tensor_value_info("cache", onnx.TensorProto.FLOAT, [0, 4, "past"])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["cache"], ["y"])],
        "g",
        [cache],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "c.onnx")
    assert repository.read(tmp_path / "c.onnx", name="c").inputs[0].shape == (0, 4, -1)


def _with_outputs(path: Path, outputs: list[onnx.ValueInfoProto]) -> Path:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_an_output_whose_type_the_file_leaves_open_has_the_inferred_one(tmp_path: Path) -> None:
    model = repository.find(_with_outputs(tmp_path / "m.onnx", [onnx.ValueInfoProto(name="y")]))
    assert [str(tensor) for tensor in model.outputs] == ["y FP32[1, 8]"]


def test_a_graph_without_an_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the graph has no output"):
        repository.find(_with_outputs(tmp_path / "m.onnx", []))


def test_a_type_that_the_protocol_lacks_is_named(tmp_path: Path) -> None:
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT8E4M3FN, [1, 8])]
    with pytest.raises(ModelError, match="y has the type FLOAT8E4M3FN, which the Open Inference Protocol lacks"):
        repository.find(_with_outputs(tmp_path / "m.onnx", outputs))
