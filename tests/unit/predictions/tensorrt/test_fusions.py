"""TensorRT's fusions on small graphs: which nodes run as one kernel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper, save_model

from edgesim.predictions import graph
from edgesim.predictions.tensorrt.fusions import TensorRtFusions

CHANNELS = 8
SIZES = [1, CHANNELS, 16, 16]


def kernels(path: Path, nodes: list[NodeProto], outputs: tuple[str, ...] = ("y",)) -> list[tuple[str, ...]]:
    """Return the operations of each kernel of a graph of 8 channels; `w` is a convolution's weights, `v` a vector."""
    weights = {"w": np.zeros((CHANNELS, CHANNELS, 1, 1), np.float32), "v": np.ones(CHANNELS, np.float32)}
    proto = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SIZES) for name in ("x", "z")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    save_model(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path / "m.onnx")
    return [(node.operation, *node.fused) for node in graph.read(path / "m.onnx", fusions=TensorRtFusions)]


def node(operation: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operation, inputs.split(), [output], **attributes)


CONV = node("Conv", "x w", "c")


@pytest.mark.parametrize(
    ("after", "fused"),
    [
        ([node("Relu", "c", "y")], ("Relu",)),
        ([node("BatchNormalization", "c v v v v", "b"), node("Relu", "b", "y")], ("BatchNormalization", "Relu")),
        ([node("Add", "c z", "s"), node("Relu", "s", "y")], ("Add", "Relu")),
        ([node("Sigmoid", "c", "s"), node("Mul", "c s", "y")], ("Sigmoid", "Mul")),
        ([node("Sigmoid", "c", "s"), node("Mul", "c s", "m"), node("Add", "m z", "y")], ("Sigmoid", "Mul", "Add")),
        ([node("HardSwish", "c", "y")], ("HardSwish",)),
        ([node("LeakyRelu", "c", "l"), node("MaxPool", "l", "y", kernel_shape=[2, 2])], ("LeakyRelu",)),
    ],
)
def test_what_follows_a_convolution_runs_in_its_kernel(
    tmp_path: Path, after: list[NodeProto], fused: tuple[str, ...]
) -> None:
    assert kernels(tmp_path, [CONV, *after])[0] == ("Conv", *fused)


def test_a_chain_of_pointwise_operations_is_one_kernel(tmp_path: Path) -> None:
    """GELU as exporters write it: the input is taken twice, and one tensor leaves."""
    chain = [
        node("Div", "x z", "d"),
        node("Erf", "d", "e"),
        node("Add", "e z", "a"),
        node("Mul", "x a", "m"),
        node("Mul", "m z", "y"),
    ]
    assert kernels(tmp_path, chain) == [("Div", "Erf", "Add", "Mul", "Mul")]


def test_a_tensor_that_others_take_ends_a_kernel(tmp_path: Path) -> None:
    nodes = [CONV, node("Relu", "c", "r"), node("MaxPool", "c", "y", kernel_shape=[2, 2])]
    assert kernels(tmp_path, nodes, ("y", "r"))[0] == ("Conv",)


def test_an_output_of_the_graph_ends_a_kernel(tmp_path: Path) -> None:
    assert kernels(tmp_path, [CONV, node("Relu", "c", "y")], ("y", "c")) == [("Conv",), ("Relu",)]


def test_a_sum_of_two_convolutions_runs_in_the_later_one(tmp_path: Path) -> None:
    nodes = [CONV, node("Conv", "z w", "d"), node("Add", "c d", "s"), node("Relu", "s", "y")]
    assert kernels(tmp_path, nodes) == [("Conv",), ("Conv", "Add", "Relu")]


def test_a_pooling_between_ends_the_kernel(tmp_path: Path) -> None:
    nodes = [CONV, node("GlobalAveragePool", "c", "p"), node("Sigmoid", "p", "s"), node("Mul", "c s", "y")]
    assert kernels(tmp_path, nodes) == [("Conv",), ("GlobalAveragePool",), ("Sigmoid",), ("Mul",)]


def test_a_sum_that_broadcasts_the_convolution_stays_apart(tmp_path: Path) -> None:
    """The kernel of a convolution writes as many elements as the convolution gives."""
    nodes = [node("GlobalAveragePool", "x", "p"), node("Conv", "p w", "c"), node("Add", "c z", "y")]
    assert kernels(tmp_path, nodes) == [("GlobalAveragePool",), ("Conv",), ("Add",)]


def test_a_product_takes_its_bias_and_its_activation(tmp_path: Path) -> None:
    weights = {"a": np.zeros((16, 4), np.float32), "b": np.zeros(4, np.float32)}
    nodes = [node("MatMul", "x a", "m"), node("Add", "m b", "n"), node("Relu", "n", "y")]
    proto = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    save_model(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    (kernel,) = graph.read(tmp_path / "m.onnx", fusions=TensorRtFusions)
    assert (kernel.operation, *kernel.fused) == ("MatMul", "Add", "Relu")
