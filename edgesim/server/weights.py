"""Files of weights beside a model, read into memory.

ONNX Runtime maps such files. Where they may be overwritten while a model runs, that ends the server: what a file cut
short no longer holds cannot be read from its mapping (SIGBUS).
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL
# Bytes of a value by onnx.TensorProto.DataType; of the others several share a byte, or they have no fixed size.
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def read_external(path: Path) -> dict[str, Any]:
    """The external weights of the model at `path`, by name, as ONNX Runtime's values; none where it has none.

    Those of subgraphs, and of types smaller than a byte, are not among them.

    Raises:
        ValueError: a file is shorter than the model says; OSError: it cannot be read.
    """
    if all(entry == path for entry in path.parent.rglob("*") if entry.is_file()):
        return {}
    model = _model_type()()
    model.ParseFromString(path.read_bytes())
    tensors = [t for t in model.graph.initializer if t.data_location == _EXTERNAL and t.data_type in _ITEM_BYTES]
    return {tensor.name: _read(tensor, path.parent) for tensor in tensors}


def _read(tensor: Any, directory: Path) -> Any:
    where = {entry.key: entry.value for entry in tensor.external_data}
    item_bytes, shape = _ITEM_BYTES[tensor.data_type], tuple(tensor.dims)
    file = directory / where["location"]
    values = np.fromfile(
        file, _UNSIGNED[item_bytes], count=math.prod(shape), offset=int(where.get("offset", "0"))
    ).reshape(-1)
    if values.size != math.prod(shape):
        raise ValueError(f"{where['location']} is too short for the weights {tensor.name!r}")
    numpy_type = _NUMPY.get(tensor.data_type)
    if numpy_type is not None:
        return onnxruntime.OrtValue.ortvalue_from_numpy(values.view(numpy_type).reshape(shape))
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(values.reshape(shape), tensor.data_type)


_NUMPY = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
}


@cache
def _model_type() -> Any:
    """What of onnx.ModelProto tells where weights are; everything else in a file is passed over."""
    from .protobuf import message_type

    messages = {
        "ModelProto": {"graph": (7, "GraphProto")},
        "GraphProto": {"initializer": (5, "*TensorProto")},
        "TensorProto": {
            "dims": (1, "*int64"),
            "data_type": (2, "int32"),
            "name": (8, "string"),
            "external_data": (13, "*Entry"),
            "data_location": (14, "int32"),
        },
        "Entry": {"key": (1, "string"), "value": (2, "string")},
    }
    return message_type("ModelProto", messages, {})
