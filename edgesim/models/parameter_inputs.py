"""Inputs of a graph that an operation takes as a parameter, such as a shape, axes or a divisor: values that it accepts.

Random values would ask for any amount of memory, name axes that are not there, or end the process: ONNX Runtime divides
whole numbers by zero as the processor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from edgesim.models.graph_constants import Constants

_MOST_SIZE = 8
_MOST_DIVISOR = 99
_LAST = 2**31 - 1  # an end behind all elements


@dataclass(frozen=True)
class Parameter:
    """Values that an operation accepts: one for all elements, or a range.

    Attributes:
        is_size: how large a tensor becomes, so that a random fraction between 0 and 1 is no value of it either.
    """

    low: int = 1
    high: int = _MOST_SIZE
    constant: int | None = None
    is_size: bool = False


_SIZE, _DIVISOR = Parameter(is_size=True), Parameter(high=_MOST_DIVISOR)
_SCALE = Parameter(constant=1, is_size=True)
_AXIS, _ONE = Parameter(constant=0), Parameter(constant=1)
_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
# By operation and position of the input.
_PARAMETERS: Mapping[tuple[str, int], Parameter] = {
    ("ConstantOfShape", 0): _SIZE,
    ("Tile", 1): _SIZE,
    ("OneHot", 1): _SIZE,
    ("Resize", 2): _SCALE,
    ("Resize", 3): _SIZE,
    ("Upsample", 1): _SCALE,
    ("Pad", 1): _SIZE,
    ("CenterCropPad", 1): _SIZE,
    ("STFT", 1): _SIZE,
    ("HannWindow", 0): _SIZE,
    ("HammingWindow", 0): _SIZE,
    ("BlackmanWindow", 0): _SIZE,
    ("TopK", 1): _ONE,
    # A size of 1 keeps the size that the tensor has.
    ("Expand", 1): _ONE,
    ("Range", 2): _ONE,
    ("Slice", 1): Parameter(constant=0),
    ("Slice", 2): Parameter(constant=_LAST),
    ("Slice", 4): _ONE,
    ("Unsqueeze", 1): _AXIS,
    ("Squeeze", 1): _AXIS,
    ("CumSum", 1): _AXIS,
    ("SequenceAt", 1): Parameter(constant=0),
    ("Div", 1): _DIVISOR,
    ("Mod", 1): _DIVISOR,
} | {(f"Reduce{name}", 1): _AXIS for name in _REDUCTIONS}


def parameter(node: onnx.NodeProto, position: int, constants: Constants) -> Parameter | None:
    """Return the values that a node accepts at an input; None where the input is no parameter, or nothing tells."""
    if (node.op_type, position) == ("Reshape", 1):
        sizes = constants.sizes(node.input[1])
        # The only size is all elements; of several, 0 keeps the size that the tensor has.
        return Parameter(constant=-1 if sizes == (1,) else 0)
    if (node.op_type, position) == ("Split", 1):
        return _equal_parts(node, constants)
    return _PARAMETERS.get((node.op_type, position))


def _equal_parts(node: onnx.NodeProto, constants: Constants) -> Parameter | None:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    sizes, count = constants.sizes(node.input[0]), len(node.output)
    if sizes is None or not -len(sizes) <= axis < len(sizes) or sizes[axis] % count:
        return None
    return Parameter(constant=sizes[axis] // count)
