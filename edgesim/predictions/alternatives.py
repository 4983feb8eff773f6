"""What-if predictions: the same model at another resolution, or quantized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgesim.errors import ModelError
from edgesim.models.repository import Model
from edgesim.predictions import graph
from edgesim.predictions.graph import Node
from edgesim.predictions.onnxruntime_cpu import predict_nodes
from edgesim.predictions.prediction import Prediction
from edgesim.profiles import DeviceProfile

_IMAGE_DIMENSIONS = 4
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


def alternatives(
    profile: DeviceProfile,
    model: Model,
    *,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[Alternative]:
    """Predict the same model at half the resolution, and in int8; the arguments are those of `edgesim.predict`.

    Raises:
        ProfileError, ModelError: see `edgesim.predict`.
    """
    shapes = shapes or {}

    def predicted(nodes: Sequence[Node]) -> Prediction:
        return predict_nodes(profile, nodes, batch=batch, threads=threads)

    nodes = graph.read(model.path, shapes=shapes, batch=batch)
    answers = []
    change = "half the resolution"
    if halves := _half_resolution(model, shapes, batch):
        try:
            smaller = graph.read(model.path, shapes={**shapes, **halves}, batch=batch)
            answers.append(Alternative(change=change, prediction=predicted(smaller)))
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


def _half_resolution(model: Model, shapes: Mapping[str, Sequence[int]], batch: int) -> dict[str, list[int]]:
    """Return half the height and width of each image input whose shape the caller has not set."""
    images = [
        tensor
        for tensor in model.inputs
        if len(tensor.shape) == _IMAGE_DIMENSIONS and min(tensor.shape[1:]) > 0 and tensor.name not in shapes
    ]
    halves = {image.name: [*image.shape[:-2], *(size // 2 for size in image.shape[-2:])] for image in images}
    return {name: [batch if size < 0 else size for size in sizes] for name, sizes in halves.items()}


def _as_int8(node: Node) -> Node:
    """Return the node with one byte where there were four."""
    return replace(
        node,
        precision="int8",
        read_bytes=node.read_bytes // 4,
        weight_bytes=node.weight_bytes // 4,
        written_bytes=node.written_bytes // 4,
    )
