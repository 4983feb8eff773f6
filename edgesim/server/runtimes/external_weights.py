"""Weights in files beside a model, read into memory.

ONNX Runtime maps such files. Where they may be overwritten while a model runs, a mapping ends the server: the part that
a shortened file no longer has cannot be read from its mapping (SIGBUS).
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..tensor_types import BY_ONNX_NUMBER

_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL
# Types whose values have a fixed size of whole bytes: strings have none, and of the types that the protocol does not
# have, several values share a byte.
_READABLE = {number: kind for number, kind in BY_ONNX_NUMBER.items() if not kind.dtype.hasobject}


def read_external_weights(path: Path) -> dict[str, Any]:
    """Read the external weights of the model at `path`.

    Weights of subgraphs, and of types smaller than a byte, are left out.

    Returns:
        The weights by name, as `onnxruntime.OrtValue`; empty if the model has none in other files.

    Raises:
        ValueError: a file is shorter than the model says.
        OSError: a file cannot be read.
    """
    if all(entry == path for entry in path.parent.rglob("*") if entry.is_file()):
        return {}
    model = _model_type()()
    model.ParseFromString(path.read_bytes())
    tensors = [t for t in model.graph.initializer if t.data_location == _EXTERNAL and t.data_type in _READABLE]
    return {tensor.name: _read_tensor(tensor, path.parent) for tensor in tensors}


def _read_tensor(tensor: Any, directory: Path) -> Any:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    tensor_type, shape = _READABLE[tensor.data_type], tuple(tensor.dims)
    path = directory / entries["location"]
    values = np.fromfile(path, tensor_type.dtype, count=math.prod(shape), offset=int(entries.get("offset", "0")))
    if values.size != math.prod(shape):
        raise ValueError(f"{entries['location']} is too short for the weights {tensor.name!r}")
    values = values.reshape(shape)
    if tensor_type.name == "BF16":  # the bits of a BF16 are integers in numpy, so the type has to be named
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(values, tensor.data_type)
    return onnxruntime.OrtValue.ortvalue_from_numpy(values)


@cache
def _model_type() -> Any:
    """Return the message type of onnx.ModelProto with the fields that say where weights are; others are skipped."""
    # Imported here because few models have external weights: under emulation each import delays the server's readiness.
    from ..protobuf import message_type

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
