"""Tensors of the Open Inference Protocol: between its JSON form and numpy arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
_BY_ONNX = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


class BadRequest(ValueError):
    """The client's fault, in one sentence that names the tensor, what was given and what is expected."""


@dataclass(frozen=True)
class Signature:
    """One input or output of a model; -1 in `shape` is a dimension known only at run time."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, argument: Any) -> "Signature":
        """From ONNX Runtime's description of an input or output.

        Raises:
            ValueError: a type that the protocol does not have.
        """
        if argument.type not in _BY_ONNX:
            raise ValueError(f"{argument.name}: the inference protocol has no {argument.type}")
        shape = tuple(n if isinstance(n, int) and n > 0 else -1 for n in argument.shape)
        return cls(argument.name, _BY_ONNX[argument.type], shape)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def parse_inputs(request: Any, signatures: Sequence[Signature]) -> dict[str, np.ndarray]:
    """The arrays of an inference request, one for each input of the model.

    Raises:
        BadRequest: an input is missing, unknown, twice there, or of a wrong type, shape or size.
    """
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise BadRequest("the request must be a JSON object with a list 'inputs'")
    expected = {signature.name: signature for signature in signatures}
    arrays: dict[str, np.ndarray] = {}
    for tensor in request["inputs"]:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if name not in expected:
            raise BadRequest(f"unknown input {name!r}; the model takes {', '.join(expected)}")
        if name in arrays:
            raise BadRequest(f"input {name!r} is given twice")
        arrays[name] = _parse(tensor, expected[name])
    missing = [name for name in expected if name not in arrays]
    if missing:
        raise BadRequest(f"input {missing[0]!r} is missing; the model takes {', '.join(expected)}")
    return arrays


def _parse(tensor: dict[str, Any], expected: Signature) -> np.ndarray:
    where = f"input {expected.name!r}"
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if datatype != expected.datatype:
        raise BadRequest(f"{where} has datatype {datatype}; expected {expected.datatype}")
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise BadRequest(f"{where} has shape {shape}; expected a list of sizes like {list(expected.shape)}")
    fits = len(shape) == len(expected.shape) and all(
        want in (-1, n) for n, want in zip(shape, expected.shape, strict=True)
    )
    if not fits:
        raise BadRequest(f"{where} has shape {shape}; expected {list(expected.shape)}, where -1 is any size")
    if not isinstance(tensor.get("data"), list):
        raise BadRequest(f"{where} has no list 'data'")
    try:
        if datatype == "BYTES":
            values = np.array(_flat(tensor["data"]), dtype=np.object_)
        else:
            values = np.asarray(tensor["data"]).astype(DTYPES[datatype], casting="unsafe").reshape(-1)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRequest(f"{where} holds data that is not {datatype}: {error}") from error
    if values.size != math.prod(shape):
        raise BadRequest(f"{where} holds {values.size} values; its shape {shape} takes {math.prod(shape)}")
    return values.reshape(shape)


def _flat(data: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for entry in data:
        flat.extend(_flat(entry) if isinstance(entry, list) else [entry])
    return flat


def requested_outputs(request: dict[str, Any], signatures: Sequence[Signature]) -> list[str]:
    """The names of the outputs that a request asks for; all of them when it names none.

    Raises:
        BadRequest: an output that the model does not have.
    """
    known = [signature.name for signature in signatures]
    wanted = request.get("outputs")
    if not wanted:
        return known
    if not isinstance(wanted, list) or not all(isinstance(entry, dict) for entry in wanted):
        raise BadRequest("'outputs' must be a list of objects with a 'name'")
    names = [entry.get("name") for entry in wanted]
    for name in names:
        if name not in known:
            raise BadRequest(f"unknown output {name!r}; the model gives {', '.join(known)}")
    return [str(name) for name in names]


def as_json(name: str, datatype: str, values: np.ndarray) -> dict[str, Any]:
    """One output in the protocol's JSON form: `data` flat, row-major."""
    flat: Any = np.ascontiguousarray(values).reshape(-1)
    if datatype == "BYTES":
        flat = [entry.decode() if isinstance(entry, bytes) else str(entry) for entry in flat]
    elif datatype == "FP16":
        flat = flat.astype(np.float32)  # the encoder knows no half floats; every one of them is a float
    return {"name": name, "datatype": datatype, "shape": list(values.shape), "data": flat}
