"""What-if predictions: the same model at another resolution, or quantized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgesim.errors import ModelError
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.node import Node
from edgesim.predictions.onnxruntime_cpu import predict_nodes
from edgesim.predictions.prediction import Prediction
from edgesim.profiles import DeviceProfile

_IMAGE_DIMENSIONS = 4
# How many colors an image has: one of these sizes at the end is that of images with their colors last.
_COLORS = (1, 3, 4)
# Kinds of nodes that the usual quantization turns into int8; everything between such nodes becomes int8, too.
_QUANTIZABLE = frozenset(
    (
        "convolution",
        "pointwise convolution",
        "depthwise convolution",
        "matrix product",
        "pooling",
        "element-wise",
        "data movement",
    )
)


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A change of the model, and its prediction.

    Attributes:
        prediction: None if it cannot be made; `reason` says why.
    """

    change: str
    prediction: Prediction | None
    reason: str = ""


def alternatives(profile: DeviceProfile, reader: ModelReader, *, threads: int | None = None) -> list[Alternative]:
    """Predict the same model at half the resolution, and in int8.

    Raises:
        ProfileError, ModelError: see `edgesim.predict`.
    """

    def predicted(nodes: Sequence[Node]) -> Prediction:
        return predict_nodes(profile, nodes, batch=reader.batch, threads=threads)

    nodes = reader.graph().nodes
    answers = []
    change = "half the resolution"
    if halves := _half_resolution(reader.shapes):
        try:
            answers.append(Alternative(change=change, prediction=predicted(reader.resized(halves).graph().nodes)))
        except ModelError as error:
            reason = f"the graph has a fixed resolution: {error.problem}"
            answers.append(Alternative(change=change, prediction=None, reason=reason))
    else:
        answers.append(Alternative(change=change, prediction=None, reason="no input with a height and a width"))
    if any(node.precision == "int8" for node in nodes):
        answers.append(Alternative(change="int8", prediction=None, reason="the model is quantized already"))
    else:
        quantized = [_as_int8(node) if node.kind in _QUANTIZABLE else node for node in nodes]
        answers.append(Alternative(change="int8", prediction=predicted(quantized)))
    return answers


def _half_resolution(sizes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """Return half the height and width of each image input: the last two sizes, or those before its colors."""
    halves = {}
    for name, shape in sizes.items():
        if len(shape) != _IMAGE_DIMENSIONS or min(shape[1:]) < 1:
            continue
        batch, *image = shape
        if image[-1] in _COLORS and image[0] not in _COLORS:
            halves[name] = (batch, image[0] // 2, image[1] // 2, image[2])
        else:
            halves[name] = (batch, image[0], image[1] // 2, image[2] // 2)
    return {name: shape for name, shape in halves.items() if min(shape[1:]) > 0}


def _as_int8(node: Node) -> Node:
    """Return the node with one byte where there were four."""
    return replace(
        node,
        precision="int8",
        read_bytes=node.read_bytes // 4,
        weight_bytes=node.weight_bytes // 4,
        written_bytes=node.written_bytes // 4,
    )
