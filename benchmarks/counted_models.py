"""Models whose instructions are counted: layers by number, a block of a transformer, and its int8."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgesim.models import repository
from edgesim.models.repository import Model


def layers(count: int, path: Path) -> Model:
    """Return a model of `count` equal convolutions, (1, 16, 16, 16) each."""
    generator = np.random.default_rng(0)
    nodes, weights, name = [], [], "x"
    for number in range(count):
        values = (generator.standard_normal((16, 16, 3, 3)) * 0.08).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{number}"))
        last = "y" if number == count - 1 else f"r{number}"
        nodes += [
            helper.make_node("Conv", [name, f"w{number}"], [f"c{number}"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{number}"], [last]),
        ]
        name = last
    return _saved(nodes, weights, [1, 16, 16, 16], [1, 16, 16, 16], path)


def transformer_block(path: Path, tokens: int = 64, width: int = 128) -> Model:
    """Return one block of attention and two products, for (1, tokens, width)."""
    generator = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((generator.standard_normal(shape) * 0.05).astype(np.float32), name)

    weights = [
        *(weight(name, width, width) for name in ("wq", "wk", "wv")),
        weight("w1", width, 4 * width),
        weight("w2", 4 * width, width),
        weight("scale", width),
        weight("bias", width),
    ]
    node = helper.make_node
    nodes = [
        node("LayerNormalization", ["x", "scale", "bias"], ["n"]),
        *(node("MatMul", ["n", f"w{each}"], [each]) for each in "qkv"),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"]),
        node("Softmax", ["scores"], ["attention"]),
        node("MatMul", ["attention", "v"], ["mixed"]),
        node("Add", ["x", "mixed"], ["r"]),
        node("MatMul", ["r", "w1"], ["h"]),
        node("Relu", ["h"], ["a"]),
        node("MatMul", ["a", "w2"], ["o"]),
        node("Add", ["r", "o"], ["y"]),
    ]
    return _saved(nodes, weights, [1, tokens, width], [1, tokens, width], path)


def _saved(
    nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], given: list[int], gives: list[int], path: Path
) -> Model:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, path.stem, [value("x", TensorProto.FLOAT, given)], [value("y", TensorProto.FLOAT, gives)], weights
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return repository.find(str(path))


def int8(model: Model, path: Path) -> Model:
    """Return a model with its products quantized dynamically."""
    quantize_dynamic(str(model.path), str(path), weight_type=QuantType.QUInt8)
    return repository.find(str(path))
