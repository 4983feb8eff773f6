"""Faults to plant into a model: what goes wrong on the way to a board."""

from pathlib import Path

import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper


def newer(proto: onnx.ModelProto) -> None:
    """An opset that no runtime has."""
    proto.opset_import[0].version = 99


def one_channel(proto: onnx.ModelProto) -> None:
    """Weights of one channel scaled by half: what a wrong export does, and no error shows."""
    weights = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 2)
    values = numpy_helper.to_array(weights).copy()
    values[:, 20] *= 1.5
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def outside(proto: onnx.ModelProto) -> None:
    """All weights in a file beside the model, ``weights.bin``."""
    external_data_helper.convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)


def no_kernel(path: Path) -> Path:
    """A sine of bfloat16, which the CPU has no kernel for."""
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=TensorProto.BFLOAT16),
        helper.make_node("Sin", ["b"], ["s"]),
        helper.make_node("Cast", ["s"], ["y"], to=TensorProto.FLOAT),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=8), path)
    return path
