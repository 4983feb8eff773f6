"""Nodes that ONNX Runtime runs a few elements at a time, by their sizes: their bytes say nothing of their time.

A copy of many elements in a row costs its bytes. Where each row is short, the loop around the copies takes the time: on
an EPYC 8 to 15 ns a row where rows are taken, and 40 to 110 ns where they are repeated.
"""

import math
from collections.abc import Mapping, Sequence

import onnx

from edgesim.predictions.tensors import GraphTensor

# Elements in a row, below which the loop takes more time than the copies; and in a row that is repeated.
_SHORT, _SHORT_REPEATED = 8, 64
# Smaller tensors take less time than the start of a node.
LARGE = 4096
# Operations along one axis, which is moved to the end unless it is the last one; and which axis that is by default.
_ALONG_AXIS: Mapping[str, int] = {"Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "ArgMax": 0, "ArgMin": 0}
# Before this opset, Softmax and its kin take all axes from the given one on as a single one.
_SOFTMAX_OF_ONE_AXIS = 13


def is_scattered(node: onnx.NodeProto, opset: int, tensors: Mapping[str, GraphTensor]) -> bool:
    """Return whether a node moves its elements in short rows; False where sizes are not known.

    Args:
        opset: of ONNX's own operations.
        tensors: by name.
    """
    made = tensors.get(node.output[0])
    taken = tensors.get(node.input[0]) if node.input else None
    if made is None or taken is None or max(made.elements, taken.elements) < LARGE:
        return False
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), None)
    shape = taken.shape
    if node.op_type in _ALONG_AXIS:
        axis = _ALONG_AXIS[node.op_type] if axis is None else axis
        along = node.op_type.startswith("Arg") or opset >= _SOFTMAX_OF_ONE_AXIS
        return along and bool(shape) and math.prod(shape[axis % len(shape) + 1 :]) > 1
    if node.op_type == "LpNormalization" or node.op_type.startswith("Reduce"):
        return _is_inner(shape, made.shape, -1 if axis is None else axis)
    if node.op_type in ("Expand", "Tile"):
        return _repeated_row(shape, made.shape) < _SHORT_REPEATED
    if node.op_type == "Gather":
        return bool(shape) and math.prod(shape[(axis or 0) % len(shape) + 1 :]) < _SHORT
    if node.op_type in ("GatherND", "ScatterND"):
        indices = tensors.get(node.input[1])
        if indices is None or not indices.shape:
            return False
        before = next((attribute.i for attribute in node.attribute if attribute.name == "batch_dims"), 0)
        return math.prod(shape[before + indices.shape[-1] :]) < _SHORT
    return False


def _is_inner(before: Sequence[int], after: Sequence[int], axis: int) -> bool:
    """Return whether a reduction, or a normalization along `axis`, leaves axes behind it as they are."""
    if before == after:
        return math.prod(before[axis % len(before) + 1 :]) > 1
    if len(before) == len(after):
        return before[-1] == after[-1] > 1
    return before[: len(after)] != after


def _repeated_row(before: Sequence[int], after: Sequence[int]) -> int:
    """Return the number of elements in a row of the output up to the first axis, from the end, that is repeated."""
    row, ranks = 1, len(after) - len(before)
    for axis in range(len(after) - 1, -1, -1):
        row *= after[axis]
        if axis < ranks or before[axis - ranks] != after[axis]:
            return row
    return row
