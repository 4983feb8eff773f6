"""Sizes of a model's inputs that its file leaves open and tells elsewhere: in metadata, and in weights beside them."""

import re
from collections.abc import Iterator

import onnx

from edgesim.models import graph_constants
from edgesim.models.graph_constants import Constants
from edgesim.models.repository import Model

# Operations after which the axes of an input are where they were.
_PASSING = frozenset({"Identity", "Cast", "Sub", "Add", "Mul", "Div", "QuantizeLinear", "DequantizeLinear", "Relu"})
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
# As Ultralytics writes them: "[640, 640]", of height and width.
_IMAGE_SIZE = re.compile(r"\[?\s*(?P<height>\d{1,5})\s*(?:,\s*(?P<width>\d{1,5})\s*)?\]?")
_IMAGE_KEYS = ("imgsz", "image_size", "img_size", "input_size")


def of_image(model: Model) -> tuple[int, int] | None:
    """Return the height and width that the model's metadata states; None without."""
    for key in _IMAGE_KEYS:
        match = _IMAGE_SIZE.fullmatch(model.metadata.get(key, "").strip())
        if match is not None and int(match["height"]) and int(match["width"] or 1):
            return int(match["height"]), int(match["width"] or match["height"])
    return None


def by_weights(proto: onnx.ModelProto) -> dict[tuple[str, int], int]:
    """Return sizes by input name and axis, counted from the end where it is negative: those that the weights ask for.

    A convolution has as many channels as its weights, and a product as many columns.
    """
    graph = proto.graph
    constants = graph_constants.of(graph)
    weights = {tensor.name for tensor in graph.initializer}
    origins = {value.name: value.name for value in graph.input if value.name not in weights}
    sizes: dict[tuple[str, int], int] = {}
    for node in graph.node:
        for position, axis, size in _demands(node, constants):
            if position < len(node.input) and (origin := origins.get(node.input[position])) is not None:
                sizes.setdefault((origin, axis), size)
        if node.op_type in _PASSING:
            passed = [origins[name] for name in node.input if name in origins]
            if len(passed) == 1:
                origins |= dict.fromkeys(node.output[:1], passed[0])
    return sizes


def _demands(node: onnx.NodeProto, constants: Constants) -> Iterator[tuple[int, int, int]]:
    """Yield the position of an input of a node, an axis of that input, and the size that the node's weights ask for."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    weights = constants.sizes(node.input[1]) if len(node.input) > 1 else None
    if node.op_type == "Conv" and weights is not None and len(weights) > 2:
        yield 0, 1, weights[1] * max(attributes.get("group", 1), 1)
    elif node.op_type == "MatMul" and weights is not None and len(weights) > 1:
        yield 0, -1, weights[-2]
    elif node.op_type == "Gemm" and weights is not None and len(weights) == 2:
        yield 0, -1, weights[1] if attributes.get("transB", 0) else weights[0]
    elif node.op_type in _RECURRENT and weights is not None and len(weights) == 3:
        yield 0, -1, weights[2]
        again = constants.sizes(node.input[2]) if len(node.input) > 2 else None
        if again is not None and len(again) == 3:
            for state in (5, 6):
                yield state, 0, again[0]
                yield state, -1, again[2]
    elif node.op_type in ("BatchNormalization", "InstanceNormalization") and weights:
        yield 0, 1, weights[0]
