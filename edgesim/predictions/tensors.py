"""Tensors of a graph: their sizes, and the bytes that their elements take."""

import math
from dataclasses import dataclass
from functools import cache

from onnx import TensorProto

from edgesim.models import tensor_types

# Bits of an element without a fixed size: text. What a reference to it takes.
_BITS_OF_TEXT = 64


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of a graph.

    Attributes:
        shape: all sizes are known.
        onnx_type: type of an element, as ONNX's `TensorProto.DataType` numbers it.
        constant: whether the tensor is known before the graph runs.
        scalar: the value of a constant of one element; None for others, and where it is not known.
    """

    shape: tuple[int, ...]
    onnx_type: int = TensorProto.FLOAT
    constant: bool = False
    scalar: float | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bits(self) -> int:
        """Bits of an element."""
        return _bits(self.onnx_type)

    @property
    def bytes(self) -> int:
        """Bytes of all elements; types of less than a byte are packed."""
        return math.ceil(self.elements * self.bits / 8)


@cache
def _bits(onnx_type: int) -> int:
    return tensor_types.bits(onnx_type) or _BITS_OF_TEXT
