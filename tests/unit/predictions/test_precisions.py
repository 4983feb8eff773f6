"""Types of tensors that ONNX Runtime has no quick kernels for: FP8, and products of FP64 and of whole numbers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.predictions import predict
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.node import Node
from tests.unit.predictions.test_arithmetic import BOARD, model

SIDE = 64


def quantized(path: Path, kind: int, *, activations: bool = False) -> Model:
    """Return a product whose weights, and inputs if asked for, are of a type that is dequantized before."""
    nodes = [helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["w"])]
    if activations:
        nodes.append(helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]))
        nodes.append(helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]))
    nodes.append(helper.make_node("MatMul", ["xd" if activations else "x", "w"], ["y"]))
    weights = [
        helper.make_tensor("wq", kind, [SIDE, SIDE], [1] * SIDE**2),
        helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("z", kind, [], [0]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return repository.read(path, name=path.stem)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E5M2])
def test_fp8_weights_are_converted_in_each_run_and_multiplied_in_fp32(tmp_path: Path, kind: int) -> None:
    conversion, product = ModelReader(quantized(tmp_path / "m.onnx", kind)).graph().nodes
    assert (conversion.operation, conversion.precision) == ("DequantizeLinear", "fp8")
    assert conversion.weight_bytes == SIDE**2 + 4 + 1, "a byte for each weight, the scale and the zero point"
    assert conversion.written_bytes == 4 * SIDE**2
    assert conversion.host_seconds is not None, "the conversion goes element by element: timed on this host"
    assert (product.operation, product.precision, product.known) == ("MatMul", "fp32", True)


def test_fp8_activations_do_not_make_an_int8_product(tmp_path: Path) -> None:
    nodes = ModelReader(quantized(tmp_path / "m.onnx", TensorProto.FLOAT8E4M3FN, activations=True)).graph().nodes
    assert [node.precision for node in nodes] == ["fp8", "fp8", "fp8", "fp32"]
    notes = predict(BOARD, tmp_path / "m.onnx").notes
    assert any("fp8 is counted as conversions from and to fp32" in note for note in notes)


def test_bf16_takes_two_bytes_an_element_on_every_core(tmp_path: Path) -> None:
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)
    cast = model(tmp_path / "m.onnx", [node], {"x": [SIDE, SIDE]}, types={"y": TensorProto.BFLOAT16})
    prediction = predict("jetson-nano", cast)
    (time,) = prediction.nodes
    assert (time.node.precision, time.node.written_bytes) == ("bf16", 2 * SIDE**2)
    assert any("bf16 is counted as moves of two bytes an element" in note for note in prediction.notes)


@pytest.mark.parametrize(
    ("operation", "kind", "timed"),
    [
        ("Sigmoid", TensorProto.DOUBLE, True),
        ("Softmax", TensorProto.DOUBLE, True),
        ("Relu", TensorProto.DOUBLE, False),
        ("Sigmoid", TensorProto.FLOAT, False),
        ("ReduceSum", TensorProto.INT64, True),
        ("ReduceSum", TensorProto.FLOAT, False),
    ],
)
def test_a_kernel_without_vectors_for_a_type_is_timed_on_this_host(
    tmp_path: Path, operation: str, kind: int, timed: bool
) -> None:
    def node(rows: int) -> Node:
        path = tmp_path / f"{rows}.onnx"
        made = model(
            path, [helper.make_node(operation, ["x"], ["y"])], {"x": [rows, SIDE]}, types={"x": kind, "y": kind}
        )
        return ModelReader(made).graph().nodes[0]

    assert (node(SIDE).host_seconds is not None) == timed
    assert node(1).host_seconds is None, "the start of a small node takes longer than its elements"


@pytest.mark.parametrize(("before", "after"), [("FLOAT", "STRING"), ("STRING", "INT64")])
def test_texts_are_timed_on_this_host(tmp_path: Path, before: str, after: str) -> None:
    kinds = TensorProto.DataType.Value(before), TensorProto.DataType.Value(after)
    cast = helper.make_node("Cast", ["x"], ["y"], to=kinds[1])
    text = model(tmp_path / "m.onnx", [cast], {"x": [8, 8]}, types=dict(zip("xy", kinds, strict=True)))
    assert ModelReader(text).graph().nodes[0].host_seconds is not None


def test_int8_in_the_same_form_still_runs_as_one_operation(tmp_path: Path) -> None:
    nodes = ModelReader(quantized(tmp_path / "m.onnx", TensorProto.INT8, activations=True)).graph().nodes
    assert [(node.operation, node.precision) for node in nodes][-1] == ("MatMul", "int8")
    assert "DequantizeLinear" not in {node.operation for node in nodes}


@pytest.mark.parametrize(("kind", "dtype"), [(TensorProto.DOUBLE, np.float64), (TensorProto.INT64, np.int64)])
def test_a_product_in_fp64_or_whole_numbers_is_timed_on_this_host(
    tmp_path: Path, kind: int, dtype: type[np.generic]
) -> None:
    node, weights = helper.make_node("MatMul", ["x", "w"], ["y"]), {"w": np.ones((SIDE, SIDE), dtype)}
    product = model(tmp_path / "p.onnx", [node], {"x": [SIDE, SIDE]}, weights, types={"x": kind, "y": kind})
    (read,) = ModelReader(product).graph().nodes
    assert not read.known
    assert read.host_seconds is not None
