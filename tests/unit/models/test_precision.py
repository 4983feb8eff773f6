"""The precision in which outputs are computed, read from the graph."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgesim.models import repository
from edgesim.models.precision import OutputPrecision, of_outputs

SCALE = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
COARSE = numpy_helper.from_array(np.array(0.5, np.float32), "coarse")
ZERO = numpy_helper.from_array(np.array(128, np.uint8), "zero")
HALF = numpy_helper.from_array(np.ones(8, np.float16), "half")
WEIGHT = numpy_helper.from_array(np.ones(8, np.uint8), "weight")
QUANTIZE = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])
DEQUANTIZE = helper.make_node("DequantizeLinear", ["q", "coarse", "zero"], ["d"])
INT8 = [QUANTIZE, DEQUANTIZE]


def precision(directory: Path, *nodes: onnx.NodeProto, output: int = T.FLOAT) -> OutputPrecision | None:
    """Return the precision of the output y of a model with these nodes."""
    x, y = helper.make_tensor_value_info("x", T.FLOAT, [8]), helper.make_tensor_value_info("y", output, None)
    graph = helper.make_graph(list(nodes), "net", [x], [y], [SCALE, COARSE, ZERO, HALF, WEIGHT])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = directory / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return of_outputs(repository.find(path)).get("y")


def node(kind: str, *inputs: str, domain: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), ["y"], domain=domain, **attributes)


@pytest.mark.parametrize(
    ("last", "step"),
    [
        (node("Relu", "d"), 0.5),
        (node("Sigmoid", "d"), 0.125),
        (node("Softmax", "d"), 0.25),
        (node("Add", "d", "d"), 1.0),
        (node("Add", "d", "scale"), 0.5),
        (node("Exp", "d"), None),
        (node("Identity", "q"), 1.0),
    ],
)
def test_step_is_that_of_the_last_quantization(tmp_path: Path, last: onnx.NodeProto, step: float | None) -> None:
    assert precision(tmp_path, *INT8, last) == OutputPrecision(kind="int8", step=step)


def test_quantized_weights_alone_are_no_quantized_arithmetic(tmp_path: Path) -> None:
    weight = helper.make_node("DequantizeLinear", ["weight", "scale", "zero"], ["w"])
    assert precision(tmp_path, weight, node("Mul", "x", "w")) is None


@pytest.mark.parametrize(
    "quantized",
    [
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["d", "s", "z"]), node("Cast", "d", to=T.FLOAT)],
        [node("DynamicQuantizeLSTM", "x", domain="com.microsoft")],
        [helper.make_node("QLinearAdd", ["x"], ["d"], domain="com.microsoft"), node("Exp", "d")],
    ],
)
def test_operations_on_8_bit_integers_are_int8(tmp_path: Path, quantized: list[onnx.NodeProto]) -> None:
    found = precision(tmp_path, *quantized)
    assert found is not None
    assert found.kind == "int8"


@pytest.mark.parametrize(("kind", "name"), [(T.FLOAT16, "float16"), (T.BFLOAT16, "bfloat16")])
def test_half_precision_between_float_ends_is_found(tmp_path: Path, kind: int, name: str) -> None:
    inner = helper.make_node("Cast", ["x"], ["d"], to=kind)
    assert precision(tmp_path, inner, node("Cast", "d", to=T.FLOAT)) == OutputPrecision(kind=name)  # type: ignore[arg-type]  # a Literal


def test_half_precision_weights_are_found(tmp_path: Path) -> None:
    assert precision(tmp_path, node("Cast", "half", to=T.FLOAT)) == OutputPrecision(kind="float16")


def test_quantization_within_a_branch_counts(tmp_path: Path) -> None:
    output = helper.make_tensor_value_info("d", T.FLOAT, [8])
    body = helper.make_graph(INT8, "body", [], [output])
    condition = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True), "true"))
    found = precision(tmp_path, condition, node("If", "c", then_branch=body, else_branch=body))
    assert found == OutputPrecision(kind="int8", step=None)


def test_output_that_comes_from_no_quantized_value_has_its_own_type(tmp_path: Path) -> None:
    assert precision(tmp_path, *INT8, node("Exp", "x")) is None


def test_many_sums_of_sums_take_no_time(tmp_path: Path) -> None:
    sums = [helper.make_node("Add", [f"s{i}", f"s{i}"], [f"s{i + 1}"]) for i in range(40)]
    sums[0].input[:] = ["d", "d"]
    assert precision(tmp_path, *INT8, *sums, node("Relu", "s40")) == OutputPrecision(kind="int8", step=0.5 * 2.0**40)
