"""The precision in which a model computes each output, which its rounding goes by and not by the output's type."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgesim.models import repository
from edgesim.models.repository import Model

if TYPE_CHECKING:
    import onnx

# Numbers of `TensorProto.DataType`.
_FLOAT16, _BFLOAT16 = 10, 16
# Operations that take 8-bit integers, or make them of their inputs at run time.
_QUANTIZING = frozenset({"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})
_QUANTIZED_PREFIXES = ("QLinear", "QGemm", "QMoE", "DynamicQuantize", "MatMulInteger", "QAttention")
# Operations that give values of their inputs, and the step of a quantization with them.
_KEEPING = frozenset(
    {"Identity", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Concat", "Split", "Slice", "Gather"}
    | {"GatherND", "Expand", "Tile", "Pad", "Relu", "Clip", "MaxPool", "GlobalMaxPool", "ReduceMax", "Resize"}
    | {"Cast", "Where", "Max", "Min"}
)
_ADDING = frozenset({"Add", "Sub"})
# The last quantization is farther away than this in no model that is quantized to its end.
_DEEPEST = 50
# How far these move at most where their inputs move by 1, by their largest derivative.
_DAMPING: Mapping[str, float] = {"Sigmoid": 0.25, "Softmax": 0.5, "LogSoftmax": 2.0, "Tanh": 1.0}


@dataclass(frozen=True, kw_only=True)
class OutputPrecision:
    """How an output is computed.

    Attributes:
        kind: ``int8`` where a value that it comes from is quantized at run time; quantized weights alone do not count.
        step: how far one step of the last quantization moves the output; None if the graph does not say.
    """

    kind: Literal["float16", "bfloat16", "int8"]
    step: float | None = None


def of_outputs(model: Model) -> dict[str, OutputPrecision]:
    """Return the precision of each output that is not simply computed in its own type, by name.

    Raises:
        ModelError, HostError: the file cannot be read.
    """
    graph = repository.parse(model.path).graph
    producers = {name: node for node in graph.node for name in node.output if name}
    weights = {initializer.name: initializer for initializer in graph.initializer}
    precisions, steps = {}, _Steps(producers, weights)
    for output in graph.output:
        nodes = list(_ancestors(output.name, producers))
        types = _types(nodes, weights)
        if any(_quantizes(node, weights) for node in nodes):
            precisions[output.name] = OutputPrecision(kind="int8", step=steps.of(output.name))
        elif _FLOAT16 in types:
            precisions[output.name] = OutputPrecision(kind="float16")
        elif _BFLOAT16 in types:
            precisions[output.name] = OutputPrecision(kind="bfloat16")
    return precisions


def _ancestors(name: str, producers: Mapping[str, "onnx.NodeProto"]) -> Iterator["onnx.NodeProto"]:
    """Yield the nodes that an output comes from, and those in their bodies."""
    seen: set[str] = set()
    names = deque([name])
    while names:
        node = producers.get(names.popleft())
        if node is None or node.output[0] in seen:
            continue
        seen.add(node.output[0])
        for inner in _with_bodies(node):
            yield inner
            names.extend(inner.input)


def _with_bodies(node: "onnx.NodeProto") -> Iterator["onnx.NodeProto"]:
    yield node
    for attribute in node.attribute:
        for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            for inner in body.node:
                yield from _with_bodies(inner)


def _types(nodes: list["onnx.NodeProto"], weights: Mapping[str, "onnx.TensorProto"]) -> set[int]:
    """Return the element types that the weights of nodes and their casts name."""
    types = {weights[name].data_type for node in nodes for name in node.input if name in weights}
    for node in nodes:
        types |= {attribute.i for attribute in node.attribute if node.op_type == "Cast" and attribute.name == "to"}
        types |= {attribute.t.data_type for attribute in node.attribute if attribute.HasField("t")}
    return types


def _quantizes(node: "onnx.NodeProto", weights: Mapping[str, "onnx.TensorProto"]) -> bool:
    if node.op_type == "QuantizeLinear":
        return node.input[0] not in weights
    return node.op_type in _QUANTIZING or node.op_type.startswith(_QUANTIZED_PREFIXES)


class _Steps:
    """How far one step of the last quantization moves each value of a graph; None if the graph does not say."""

    def __init__(self, producers: Mapping[str, "onnx.NodeProto"], weights: Mapping[str, "onnx.TensorProto"]) -> None:
        self._producers, self._weights = producers, weights
        self._known: dict[str, float | None] = {}

    def of(self, name: str, depth: int = 0) -> float | None:
        if name not in self._known:
            self._known[name] = self._find(name, depth)
        return self._known[name]

    def _find(self, name: str, depth: int) -> float | None:
        node = self._producers.get(name)
        if node is None:
            return 0.0  # a weight or an input
        if depth > _DEEPEST:
            return None
        if node.op_type == "DequantizeLinear":
            scale = self._weights.get(node.input[1])
            return float(np.max(np.abs(_values(scale)))) if scale is not None and not scale.external_data else None
        if node.op_type.startswith(("QuantizeLinear", "QLinear")):
            return 1.0  # the integers themselves
        if node.op_type not in _KEEPING and node.op_type not in _DAMPING and node.op_type not in _ADDING:
            return None
        steps = [self.of(source, depth + 1) for source in node.input if source]
        known = [step for step in steps if step is not None]
        if len(known) < len(steps):
            return None
        return sum(known) if node.op_type in _ADDING else max(known) * _DAMPING.get(node.op_type, 1.0)


def _values(tensor: "onnx.TensorProto") -> np.ndarray:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)
