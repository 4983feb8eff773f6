"""Models whose weights are in other files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

VALUES = np.arange(16, dtype=np.float32).reshape(4, 4)
ROW = np.arange(4, dtype=np.float32).reshape(1, 4)


def external(name: str, location: str, values: NDArray[np.float32] = VALUES, **entries: str) -> TensorProto:
    """A tensor with its values at `location`; `entries` replace ``offset`` and ``length``."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.extend(values.shape)
    for key, value in ({"location": location, "offset": "0", "length": str(values.nbytes)} | entries).items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def write(path: Path, location: str, **entries: str) -> Path:
    """Write a model, ``y = x @ w``, with the weights ``w`` at `location`; the file of weights is not written."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return _save(path, nodes, [external("w", location, VALUES, **entries)])


def write_with_weights(path: Path, location: str = "w.bin") -> Path:
    write(path, location)
    (path.parent / location).parent.mkdir(parents=True, exist_ok=True)
    (path.parent / location).write_bytes(VALUES.tobytes())
    return path


def write_nested(path: Path, location: str, place: str) -> Path:
    """Write a model with a weight of four floats at `location`, in a ``branch``, a ``loop``, ``constant``, ``function``
    or ``sparse`` tensor.
    """
    tensor = external("inner", location, ROW)
    row = [helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, 4])]
    functions, initializers = [], []
    if place == "branch":
        # The weight is two graphs deep.
        true = numpy_helper.from_array(np.array(True), "true")
        deep = helper.make_graph([helper.make_node("Identity", ["inner"], ["row"])], "deep", [], row, [tensor])
        inner_if = helper.make_node("If", ["true"], ["row"], then_branch=deep, else_branch=deep)
        branch = helper.make_graph([inner_if], "branch", [], row)
        other = helper.make_graph([helper.make_node("Identity", ["x"], ["row"])], "other", [], row)
        initializers = [true]
        nodes = [helper.make_node("If", ["true"], ["weight"], then_branch=branch, else_branch=other)]
    elif place == "loop":
        boolean = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go", "goes")]
        count = helper.make_tensor_value_info("i", TensorProto.INT64, [])
        before, after = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("v", "next"))
        body = helper.make_graph(
            [helper.make_node("Add", ["v", "inner"], ["next"]), helper.make_node("Identity", ["go"], ["goes"])],
            "body",
            [count, boolean[0], before],
            [boolean[1], after],
            [tensor],
        )
        initializers = [numpy_helper.from_array(np.array(2), "n"), numpy_helper.from_array(np.array(True), "yes")]
        nodes = [helper.make_node("Loop", ["n", "yes", "x"], ["weight"], body=body)]
    elif place == "constant":
        nodes = [helper.make_node("Constant", [], ["weight"], value=tensor)]
    elif place == "function":
        constant = helper.make_node("Constant", [], ["out"], value=tensor)
        functions = [helper.make_function("own", "Weight", [], ["out"], [constant], [helper.make_opsetid("", 17)])]
        nodes = [helper.make_node("Weight", [], ["weight"], domain="own")]
    else:
        indices = helper.make_tensor("i", TensorProto.INT64, [4], range(4))
        values = external("weight", location, ROW[0])
        sparse = helper.make_sparse_tensor(values, indices, [4])
        nodes = [helper.make_node("Constant", [], ["weight"], sparse_value=sparse)]
    return _save(path, [*nodes, helper.make_node("Mul", ["x", "weight"], ["y"])], initializers, functions)


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    initializers: Sequence[TensorProto],
    functions: Sequence[onnx.FunctionProto] = (),
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto = helper.make_model(
        helper.make_graph(nodes, "net", [x], [y], initializers), opset_imports=opsets, functions=functions, ir_version=8
    )
    path.write_bytes(proto.SerializeToString())
    return path


def parse(path: Path) -> onnx.ModelProto:
    return onnx.load(path, load_external_data=False)
