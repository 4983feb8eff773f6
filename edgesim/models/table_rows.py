"""The rows of the tables that inputs index, such as a vocabulary: larger values make a model fail."""

from typing import TYPE_CHECKING

from edgesim.models import repository
from edgesim.models.repository import Model

if TYPE_CHECKING:
    import onnx

# Operations that pass indices on as they are.
_PASSING = frozenset({"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Expand"})
_INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})


def by_input(model: Model) -> dict[str, int]:
    """Return the rows of the smallest table that each input indexes, by input name.

    An input that indexes no table of weights, or only after arithmetic, is left out.

    Raises:
        ModelError, HostError: the file cannot be read.
    """
    integers = {tensor.name for tensor in model.inputs if tensor.datatype in _INTEGERS}
    if not integers:
        return {}
    graph = repository.parse(model.path).graph
    weights = {initializer.name: initializer for initializer in graph.initializer}
    origins = {name: name for name in integers}
    rows: dict[str, int] = {}
    for node in graph.node:  # in the order of their computation, so that origins are known before they are used
        if node.op_type in _PASSING and node.input[0] in origins:
            origins[node.output[0]] = origins[node.input[0]]
        elif (count := _rows(node, weights)) is not None and (origin := origins.get(node.input[1])) is not None:
            rows[origin] = min(count, rows.get(origin, count))
    return rows


def _rows(node: "onnx.NodeProto", weights: dict[str, "onnx.TensorProto"]) -> int | None:
    """Return the length of the axis of a table of weights that a Gather takes rows of; None for any other node."""
    if node.op_type not in ("Gather", "GatherElements") or node.input[0] not in weights:
        return None
    sizes = weights[node.input[0]].dims
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    return int(sizes[axis]) if -len(sizes) <= axis < len(sizes) else None
