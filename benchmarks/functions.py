"""What a function costs on an arm64 core: the instructions of an element, counted in the board's image.

`edgesim.predictions.operations.FLOPS` prices functions in proportion to the sigmoid by these counts::

    python -m benchmarks.functions [OPERATION…]

Each operation is counted in a container of its own, which takes about 20 s and needs the counting emulator.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import edgesim
from edgesim.predictions.operations import FLOPS

BOARD = "jetson-nano"
SHAPE = (512, 128)
# Within the domain of every function below.
RANGE = (0.1, 0.9)
# The functions, each with the value of its second input; None without one.
FUNCTIONS: Mapping[str, float | None] = {
    **dict.fromkeys(("Sigmoid", "Tanh", "Erf", "Exp", "Log", "Elu", "Celu", "Selu", "Gelu", "Sin", "Cos")),
    **dict.fromkeys(("Asin", "Acos", "Atan", "Softmax", "HardSwish", "Softsign", "Sign")),
    "Pow": 1.7,
    "PRelu": 0.1,
}


def model(operation: str) -> onnx.ModelProto:
    """Build a model of one node."""
    second = FUNCTIONS.get(operation)
    weights = [numpy_helper.from_array(np.array(second, np.float32), "c")] if second is not None else []
    node = helper.make_node(operation, ["x", *(tensor.name for tensor in weights)], ["y"])
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy")
    graph = helper.make_graph([node], operation, [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def instructions(operation: str, directory: Path) -> float:
    """Return the instructions of one element."""
    path = directory / f"{operation.lower()}.onnx"
    onnx.save(model(operation), path)
    result: Any = edgesim.count(BOARD, path, ranges={"x": RANGE})
    return float(result.instructions.inference.p50) / float(np.prod(SHAPE))


def main(operations: Sequence[str]) -> None:
    """Count the operations, and print each beside its price."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        relu = instructions("Relu", directory)
        unit = (instructions("Sigmoid", directory) - relu) / FLOPS["Sigmoid"]
        print(f"{'operation':12} {'instructions':>12} {'in proportion':>13} {'FLOPS':>5}")
        for operation in operations or FUNCTIONS:
            counted = instructions(operation, directory)
            priced = FLOPS.get(operation, 1)
            print(f"{operation:12} {counted:12.1f} {(counted - relu) / unit:13.0f} {priced:5}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
