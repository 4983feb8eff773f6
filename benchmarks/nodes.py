"""What ONNX Runtime takes to run a node beside the node's arithmetic: instructions, counted in the board's image.

`edgesim.predictions.cost.CYCLES_OF_NODE` rests on these counts::

    python -m benchmarks.nodes

Each chain of nodes is counted in a container of its own, which takes about 20 s and needs the counting emulator.
"""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import edgesim

BOARD = "jetson-nano"
SHAPE = (1, 16)
FEW, MANY = 100, 1100
# Operations, each with the value of its second input; None without one.
OPERATIONS = {"Relu": None, "Sigmoid": None, "Add": 1.0, "MatMul": np.eye(16, dtype=np.float32)}


def chain(operation: str, nodes: int) -> onnx.ModelProto:
    """Build a model of nodes of one operation, each of which reads what the node before wrote."""
    second = OPERATIONS[operation]
    weights = [] if second is None else [numpy_helper.from_array(np.asarray(second, np.float32), "c")]
    names = ["x", *(f"t{index}" for index in range(nodes - 1)), "y"]
    made = [
        helper.make_node(operation, [before, *(weight.name for weight in weights)], [after])
        for before, after in pairwise(names)
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in "xy")
    graph = helper.make_graph(made, operation, [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def loop(turns: int) -> onnx.ModelProto:
    """Build a model of a loop whose body is one addition."""
    scalar = {"i": TensorProto.INT64, "going": TensorProto.BOOL, "goes": TensorProto.BOOL}
    i, going, goes = (helper.make_tensor_value_info(name, kind, []) for name, kind in scalar.items())
    x, before, after, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in ("x", "b", "a", "y"))
    nodes = [helper.make_node("Identity", ["going"], ["goes"]), helper.make_node("Add", ["b", "c"], ["a"])]
    body = helper.make_graph(nodes, "body", [i, going, before], [goes, after])
    weights = [
        numpy_helper.from_array(np.array(value, kind), name)
        for name, value, kind in (("turns", turns, np.int64), ("begin", True, np.bool_), ("c", 1.0, np.float32))
    ]
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "begin", "x"], ["y"], body=body)], "loop", [x], [y], weights
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def instructions(model: onnx.ModelProto, name: str, directory: Path) -> float:
    """Return the instructions of one inference."""
    path = directory / f"{name}.onnx"
    onnx.save(model, path)
    section = edgesim.count(BOARD, path).instructions
    assert section is not None
    assert section.inference is not None
    return section.inference.p50


def main() -> None:
    """Count chains and loops of two lengths, and print what a further node takes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(f"{'node':24} {'instructions':>12}")
        for operation in OPERATIONS:
            few, many = (instructions(chain(operation, n), f"{operation.lower()}_{n}", directory) for n in (FEW, MANY))
            print(f"{operation:24} {(many - few) / (MANY - FEW):12,.0f}", flush=True)
        few, many = (instructions(loop(n), f"loop_{n}", directory) for n in (FEW, MANY))
        print(f"{'turn of Loop, two nodes':24} {(many - few) / (MANY - FEW):12,.0f}")


if __name__ == "__main__":
    main()
