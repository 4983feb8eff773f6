"""A model repository of small models, and a matrix that predicts them on a few boards."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.sweeps.matrix import Matrix


def product(path: Path, *, columns: int = 8, opset: int = 17) -> None:
    """Write a model of one product with a matrix of 16 rows, and a ReLU."""
    generator = np.random.default_rng(0)
    weights = numpy_helper.from_array(generator.normal(size=(16, columns)).astype(np.float32), "weights")
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])]
    outputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, columns])]
    graph = helper.make_graph(nodes, "product", inputs, outputs, [weights])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a repository with the models ``small`` and ``wide``."""
    for name, columns in (("small", 8), ("wide", 64)):
        product(tmp_path / "models" / name / "1" / "model.onnx", columns=columns)
    return tmp_path / "models"


@pytest.fixture
def matrix(models: Path) -> Matrix:
    """Return four cells: two models on two boards."""
    return Matrix.of(profile=["jetson-nano", "raspberry-pi-5"], model=[f"{models}/*"])
