"""The score from which on a detector gives a row, as far as its graph says so."""

import math

from edgesim.models import graph_nodes, repository
from edgesim.models.repository import Model

_SCORE_THRESHOLD = 4  # the input of NonMaxSuppression


def score_threshold(model: Model) -> float | None:
    """Return the score threshold of the model's NonMaxSuppression.

    None where there is no such operation, no threshold or one of 0, one that is computed, or different ones.
    """
    from onnx import numpy_helper

    if "NonMaxSuppression" not in model.operations:
        return None
    proto = repository.parse(model.path)
    nodes = list(graph_nodes.of_model(proto))
    constants = {node.output[0]: node.attribute[0].t for node in nodes if node.op_type == "Constant"}
    constants |= {tensor.name: tensor for tensor in proto.graph.initializer}
    selecting = [node for node in nodes if node.op_type == "NonMaxSuppression"]
    tensors = [constants.get(node.input[_SCORE_THRESHOLD]) for node in selecting if len(node.input) > _SCORE_THRESHOLD]
    if len(tensors) != len(selecting) or any(tensor is None or math.prod(tensor.dims) != 1 for tensor in tensors):
        return None
    values = {float(numpy_helper.to_array(tensor).reshape(-1)[0]) for tensor in tensors if tensor is not None}
    return values.pop() if len(values) == 1 and min(values) > 0 else None
