"""The marks of an emulator that counts: around ONNX Runtime's compiled code, whatever happens in between."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesim.server import marks
from edgesim.server.config import ModelConfig
from edgesim.server.runtimes import InferenceFailed, Session
from edgesim.server.runtimes.marked import MarkedRuntime

LOAD = [marks.LOAD_BEGINS, marks.LOAD_ENDS]
INFERENCE = [marks.INFERENCE_BEGINS, marks.INFERENCE_ENDS]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The marks that have been set."""
    kinds: list[int] = []
    monkeypatch.setattr(marks, "mark", kinds.append)
    return kinds


def _load(path: Path, element_type: int) -> Session:
    x, y = (helper.make_tensor_value_info(name, element_type, ["n"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubles", [x], [y])
    if element_type == TensorProto.BFLOAT16:
        graph.node[0].CopyFrom(helper.make_node("Identity", ["x"], ["y"]))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return MarkedRuntime().load(path, ModelConfig(), content=None, threads=1, files_change=False)


def test_a_load_and_each_inference_lie_between_marks(tmp_path: Path, seen: list[int]) -> None:
    session = _load(tmp_path / "model.onnx", TensorProto.FLOAT)
    assert seen == LOAD
    for _ in range(2):
        (doubled,) = session.infer({"x": np.array([1, 2], np.float32)}, ["y"])
        assert doubled.tolist() == [2, 4]
    assert seen == LOAD + 2 * INFERENCE


def test_an_inference_of_bf16_lies_between_marks(tmp_path: Path, seen: list[int]) -> None:
    session = _load(tmp_path / "model.onnx", TensorProto.BFLOAT16)
    (same,) = session.infer({"x": np.array([0x3F80], np.uint16)}, ["y"])
    assert same.tolist() == [0x3F80]
    assert seen == LOAD + INFERENCE


def test_an_inference_that_fails_has_its_second_mark(tmp_path: Path, seen: list[int]) -> None:
    session = _load(tmp_path / "model.onnx", TensorProto.FLOAT)
    with pytest.raises(InferenceFailed):
        session.infer({"x": np.ones((1, 1, 1), np.float32)}, ["y"])
    assert seen == LOAD + INFERENCE


def test_a_load_that_fails_has_its_second_mark(tmp_path: Path, seen: list[int]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(Exception, match="model"):
        MarkedRuntime().load(path, ModelConfig(), content=None, threads=1, files_change=False)
    assert seen == LOAD
