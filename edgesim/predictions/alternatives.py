"""What would change on the board: another resolution, other numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgesim.errors import ModelError
from edgesim.models.repository import Model
from edgesim.predictions import graph
from edgesim.predictions.graph import Node
from edgesim.predictions.prediction import Prediction, of_nodes
from edgesim.profiles import DeviceProfile

_IMAGE_DIMENSIONS = 4
# What becomes int8 by the usual quantization; everything between such nodes does, too.
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
    """`prediction` is None where it cannot be made, and `reason` says why."""

    change: str
    prediction: Prediction | None
    reason: str = ""


def alternatives(
    board: DeviceProfile,
    model: Model,
    *,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[Alternative]:
    """The same model at half the resolution, and in int8.

    Raises:
        ProfileError, ModelError: as `edgesim.predictions.predict`.
    """
    nodes = graph.read(model.path, shapes=shapes, batch=batch)
    found = []
    halves = {
        tensor.name: [*tensor.shape[:-2], *(size // 2 for size in tensor.shape[-2:])]
        for tensor in model.inputs
        if len(tensor.shape) == _IMAGE_DIMENSIONS and min(tensor.shape[1:]) > 0 and tensor.name not in (shapes or {})
    }
    halves = {name: [batch if size < 0 else size for size in sizes] for name, sizes in halves.items()}
    change = "half the resolution"
    if halves:
        try:
            smaller = graph.read(model.path, shapes={**(shapes or {}), **halves}, batch=batch)
            found.append(Alternative(change=change, prediction=of_nodes(board, smaller, batch=batch, threads=threads)))
        except ModelError as error:
            found.append(
                Alternative(change=change, prediction=None, reason=f"its graph is made for one: {error.problem}")
            )
    else:
        found.append(Alternative(change=change, prediction=None, reason="no input with a height and a width"))
    if any(node.precision == "int8" for node in nodes):
        found.append(Alternative(change="int8", prediction=None, reason="it is quantized already"))
    else:
        quantized = [_as_int8(node) if node.kind in _QUANTIZABLE else node for node in nodes]
        found.append(Alternative(change="int8", prediction=of_nodes(board, quantized, batch=batch, threads=threads)))
    return found


def _as_int8(node: Node) -> Node:
    """A byte where there were four."""
    return replace(
        node,
        precision="int8",
        read_bytes=node.read_bytes // 4,
        weight_bytes=node.weight_bytes // 4,
        written_bytes=node.written_bytes // 4,
    )
