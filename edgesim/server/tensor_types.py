"""The tensor types of the Open Inference Protocol: their names there, in numpy, in ONNX and in Triton's configuration.

This is the server's only table of types. The server stands alone, so the rest of edgesim has a table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class TensorType(NamedTuple):
    """One type of tensor elements.

    Attributes:
        name: the protocol's name.
        dtype: the numpy type of the elements, little-endian as the protocol's binary form is.
        onnx_number: the number in `onnx.TensorProto.DataType`.
        onnx_name: the name in ONNX, which ONNX Runtime spells ``tensor(NAME)``.
    """

    name: str
    dtype: np.dtype[Any]
    onnx_number: int
    onnx_name: str

    @property
    def triton_name(self) -> str:
        """The name in Triton's enumeration `DataType`."""
        return "TYPE_STRING" if self.name == "BYTES" else f"TYPE_{self.name}"


# In the order of Triton's enumeration DataType, whose numbers a config.pbtxt may use; TYPE_INVALID, 0, comes before.
TENSOR_TYPES = (
    TensorType("BOOL", np.dtype(np.bool_), 9, "bool"),
    TensorType("UINT8", np.dtype(np.uint8), 2, "uint8"),
    TensorType("UINT16", np.dtype("<u2"), 4, "uint16"),
    TensorType("UINT32", np.dtype("<u4"), 12, "uint32"),
    TensorType("UINT64", np.dtype("<u8"), 13, "uint64"),
    TensorType("INT8", np.dtype(np.int8), 3, "int8"),
    TensorType("INT16", np.dtype("<i2"), 5, "int16"),
    TensorType("INT32", np.dtype("<i4"), 6, "int32"),
    TensorType("INT64", np.dtype("<i8"), 7, "int64"),
    TensorType("FP16", np.dtype("<f2"), 10, "float16"),
    TensorType("FP32", np.dtype("<f4"), 1, "float"),
    TensorType("FP64", np.dtype("<f8"), 11, "double"),
    TensorType("BYTES", np.dtype(np.object_), 8, "string"),
    # numpy has no BF16: the bits travel as 16-bit integers.
    TensorType("BF16", np.dtype("<u2"), 16, "bfloat16"),
)
DTYPES: Mapping[str, np.dtype[Any]] = {kind.name: kind.dtype for kind in TENSOR_TYPES}
BY_ONNX_TYPE: Mapping[str, TensorType] = {f"tensor({kind.onnx_name})": kind for kind in TENSOR_TYPES}
BY_ONNX_NUMBER: Mapping[int, TensorType] = {kind.onnx_number: kind for kind in TENSOR_TYPES}
BY_TRITON_NAME: Mapping[str, TensorType] = {kind.triton_name: kind for kind in TENSOR_TYPES}
TRITON_NAMES: Mapping[str, str] = {kind.name: kind.triton_name for kind in TENSOR_TYPES}
INTEGERS = frozenset(kind.name for kind in TENSOR_TYPES if kind.name.startswith(("INT", "UINT")))


class Signature(NamedTuple):
    """One input or output of a model: its name, its type in the protocol, and its shape.

    -1 in `shape` is a dimension of any size, known only at run time. With `any_rank` even the number of dimensions is
    open, and `shape` is empty.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    any_rank: bool = False

    def as_json(self) -> dict[str, Any]:
        tensor: dict[str, Any] = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}
        if self.any_rank:
            # The protocol has no word for it: [] would be a scalar.
            tensor |= {"shape": [-1], "parameters": {"any_rank": True}}
        return tensor


def bf16_to_float(bits: np.ndarray) -> np.ndarray:
    """Convert BF16 bits (uint16) to float32: a BF16 is the upper half of a float."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float_to_bf16(values: np.ndarray) -> np.ndarray:
    """Convert float32 to BF16 bits (uint16), rounded to nearest, ties to even; NaN stays NaN."""
    bits = values.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
