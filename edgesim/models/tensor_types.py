"""Tensor types: one table of their names in the Open Inference Protocol, in ONNX and in numpy.

The server has a table of its own in `edgesim.server`, because the server is copied into the image alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import ml_dtypes
import numpy as np


@dataclass(frozen=True, kw_only=True)
class TensorType:
    """The type of a tensor's elements.

    Attributes:
        datatype: the name in the Open Inference Protocol: ``FP32``.
        onnx: the number in ONNX's `TensorProto.DataType`.
        item_bytes: bytes of one element; None for text, whose elements have no fixed size.
        dtype: the numpy type; text is an array of Python objects.
    """

    datatype: str
    onnx: int
    item_bytes: int | None
    dtype: np.dtype

    @property
    def is_numeric(self) -> bool:
        """Whether numpy holds the elements as numbers of a fixed size."""
        return self.dtype != np.object_


def _numeric(datatype: str, onnx: int, dtype: type[np.generic]) -> TensorType:
    return TensorType(datatype=datatype, onnx=onnx, item_bytes=np.dtype(dtype).itemsize, dtype=np.dtype(dtype))


# ONNX's numbers are written out, because importing onnx takes 50 ms; a test compares them with `TensorProto`.
TENSOR_TYPES: tuple[TensorType, ...] = (
    _numeric("BOOL", 9, np.bool_),
    _numeric("UINT8", 2, np.uint8),
    _numeric("UINT16", 4, np.uint16),
    _numeric("UINT32", 12, np.uint32),
    _numeric("UINT64", 13, np.uint64),
    _numeric("INT8", 3, np.int8),
    _numeric("INT16", 5, np.int16),
    _numeric("INT32", 6, np.int32),
    _numeric("INT64", 7, np.int64),
    _numeric("FP16", 10, np.float16),
    _numeric("FP32", 1, np.float32),
    _numeric("FP64", 11, np.float64),
    # numpy has no BF16; it takes the type of ml_dtypes, by which onnx, too, reads such tensors.
    TensorType(datatype="BF16", onnx=16, item_bytes=2, dtype=np.dtype(ml_dtypes.bfloat16)),
    TensorType(datatype="BYTES", onnx=8, item_bytes=None, dtype=np.dtype(np.object_)),
)
BY_DATATYPE: Mapping[str, TensorType] = {kind.datatype: kind for kind in TENSOR_TYPES}
BY_ONNX: Mapping[int, TensorType] = {kind.onnx: kind for kind in TENSOR_TYPES}

# ONNX packs the elements of these types; numpy has a byte for each.
_BITS_BELOW_A_BYTE: Mapping[str, int] = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def is_float(dtype: np.dtype) -> bool:
    """Return whether a numpy type has floating-point numbers; numpy's own kind of BF16 is that of raw bytes."""
    return dtype.kind == "f" or dtype == BY_DATATYPE["BF16"].dtype


def bits(onnx: int) -> int | None:
    """Return the bits of an element of any type that ONNX has; None where they are not fixed (text), or unknown."""
    from onnx import TensorProto, helper  # here, because importing onnx takes 50 ms

    name = {number: name for name, number in TensorProto.DataType.items()}.get(onnx)
    if name in (None, "STRING", "UNDEFINED"):
        return None
    return _BITS_BELOW_A_BYTE.get(name) or 8 * helper.tensor_dtype_to_np_dtype(onnx).itemsize
