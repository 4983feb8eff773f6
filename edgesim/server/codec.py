"""Tensors of the Open Inference Protocol: between its JSON and binary forms and numpy arrays.

Binary tensors are not copied on their way in or out: an array is a view of the request's body, and an answer's part a
view of ONNX Runtime's output.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

# JSON takes up to some twenty times its length in memory when it is parsed.
JSON_LIMIT_BYTES = 64 << 20

# BF16 has no type in numpy: its bits travel as 16-bit integers.
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
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
    "tensor(bfloat16)": "BF16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_INTEGERS = frozenset(name for name in DTYPES if name.startswith(("INT", "UINT")))
_LENGTH = struct.Struct("<I")


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
        """From what ONNX Runtime says of a session's input or output.

        Raises:
            ValueError: it is not a tensor of a type that the protocol has.
        """
        if argument.type not in _BY_ONNX:
            raise ValueError(f"{argument.name!r} is a {argument.type}, which the inference protocol does not have")
        shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in argument.shape)
        return cls(argument.name, _BY_ONNX[argument.type], shape)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that a request asks for: `binary` or as JSON; `classes` > 0 asks for that many best classes instead."""

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A decoded request. The arrays of `inputs` may be views of the request's body."""

    id: str | None
    inputs: dict[str, np.ndarray]
    outputs: tuple[WantedOutput, ...]


# --- requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    """The JSON part of a request, checked: what is left to do is to take the tensors that follow it.

    Attributes:
        arrays: inputs whose data are in the JSON.
        binary: the others in the order of their bytes: signature, shape, size in bytes.
    """

    id: str | None
    arrays: Mapping[str, np.ndarray]
    binary: tuple[tuple[Signature, list[int], int], ...]
    outputs: tuple[WantedOutput, ...]

    def with_tensors(self, data: memoryview) -> InferRequest:
        """The request, with the bytes that follow the JSON.

        Raises:
            BadRequest: they are too many, too few, or not what a tensor takes.
        """
        arrays, begin = dict(self.arrays), 0
        for expected, shape, size in self.binary:
            if size > len(data) - begin:
                raise BadRequest(
                    f"input {expected.name!r} has binary_data_size {size}; "
                    f"{len(data) - begin} bytes are left of the body"
                )
            arrays[expected.name] = from_binary(data[begin : begin + size], expected, shape)
            begin += size
        if begin != len(data):
            raise BadRequest(f"{len(data) - begin} bytes follow the last tensor, which belong to none")
        return InferRequest(self.id, arrays, self.outputs)


def read_document(
    text: memoryview | bytes, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature]
) -> Document:
    """Read the JSON part of an inference request for a model of this signature.

    Raises:
        BadRequest: it is malformed, or an input is missing, unknown, twice there, or of a wrong type, shape or size.
    """
    document = parse_json(text)
    entries = document.get("inputs", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest("'inputs' must be a list of objects, one for each input")
    parameters = _parameters(document, "the request")
    if parameters.get("sequence_id"):
        raise BadRequest("'sequence_id': this server has no stateful sequences")
    arrays: dict[str, np.ndarray] = {}
    binary: dict[str, tuple[Signature, list[int], int]] = {}
    for entry in entries:
        name = entry.get("name")
        expected = inputs.get(name) if isinstance(name, str) else None
        if expected is None:
            raise BadRequest(f"unknown input {_shorten(name)}; the model takes {_names(inputs)}")
        if name in arrays or name in binary:
            raise BadRequest(f"input {name!r} is given twice")
        shape = _checked_shape(entry, expected)
        size = _parameters(entry, f"input {name!r}").get("binary_data_size")
        if size is None:
            arrays[expected.name] = _from_json(entry, expected, shape)
            continue
        if type(size) is not int or size < 0:
            raise BadRequest(f"input {name!r} has binary_data_size {_shorten(size)}; expected a number of bytes")
        if "data" in entry:
            raise BadRequest(f"input {name!r} has both 'data' and 'binary_data_size'")
        binary[expected.name] = (expected, shape, size)
    missing = [name for name in inputs if name not in arrays and name not in binary]
    if missing:
        raise BadRequest(f"input {missing[0]!r} is missing; the model takes {_names(inputs)}")
    return Document(_id(document), arrays, tuple(binary.values()), _wanted(document, parameters, outputs))


def parse_json(text: memoryview | bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        BadRequest: it is too long, no JSON, or no object.
    """
    if len(text) > JSON_LIMIT_BYTES:
        raise BadRequest(
            f"{len(text)} bytes of JSON; this server takes up to {JSON_LIMIT_BYTES}: send tensors as binary data"
        )
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadRequest("the request must be a JSON object")
    return document


def _names(signatures: Mapping[str, Signature]) -> str:
    return ", ".join(map(repr, signatures)) or "none"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _parameters(owner: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = owner.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise BadRequest(f"{where} has 'parameters' that are no object")
    if "shared_memory_region" in parameters:
        raise BadRequest(f"{where} is in shared memory, which this server does not offer: send its data")
    return parameters


def _id(document: dict[str, Any]) -> str | None:
    given = document.get("id")
    if given is not None and not isinstance(given, str):
        raise BadRequest(f"'id' is {_shorten(given)}; expected a string")
    return given


def _checked_shape(entry: dict[str, Any], expected: Signature) -> list[int]:
    where = f"input {expected.name!r}"
    datatype, shape = entry.get("datatype"), entry.get("shape")
    if datatype != expected.datatype:
        raise BadRequest(f"{where} has datatype {_shorten(datatype)}; expected {expected.datatype}")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 62 for size in shape):
        raise BadRequest(f"{where} has shape {_shorten(shape)}; expected a list of sizes like {list(expected.shape)}")
    if len(shape) != len(expected.shape) or any(
        want not in (-1, size) for size, want in zip(shape, expected.shape, strict=True)
    ):
        any_size = ", where -1 is any size" if -1 in expected.shape else ""
        raise BadRequest(f"{where} has shape {_shorten(shape)}; expected {list(expected.shape)}{any_size}")
    return shape


def _from_json(entry: dict[str, Any], expected: Signature, shape: list[int]) -> np.ndarray:
    where, datatype = f"input {expected.name!r}", expected.datatype
    data = entry.get("data")
    if not isinstance(data, list):
        raise BadRequest(f"{where} has no list 'data', and no 'binary_data_size'")
    if datatype == "BYTES":
        values = np.array(_flat(data), dtype=np.object_)
        if not all(isinstance(value, str) for value in values):
            raise BadRequest(f"{where} holds data that is not BYTES: expected strings")
    else:
        try:
            found = np.asarray(data).reshape(-1)
        except (ValueError, OverflowError) as error:
            raise BadRequest(f"{where} holds data that is not {datatype}: lists of different lengths") from error
        if datatype == "UINT64" and found.dtype.kind in "fO":
            found = _large_integers(_flat(data), found)
        values = _cast(found, datatype, where)
    if values.size != math.prod(shape):
        raise BadRequest(f"{where} holds {values.size} values; its shape {shape} takes {math.prod(shape)}")
    return values.reshape(shape)


def _cast(found: np.ndarray, datatype: str, where: str) -> np.ndarray:
    """Numbers of JSON as a tensor's, where they are such; never rounded to an integer, never wrapped around."""
    dtype, kind = DTYPES[datatype], found.dtype.kind
    if found.size == 0:
        return found.astype(dtype)
    if datatype == "BOOL":
        if kind == "b" or (kind in "iu" and found.min() >= 0 and found.max() <= 1):
            return found.astype(dtype)
        raise BadRequest(f"{where} holds data that is not BOOL: expected true and false")
    if datatype in _INTEGERS:
        bounds = np.iinfo(dtype)
        if kind not in "iu":
            raise BadRequest(f"{where} holds data that is not {datatype}: expected whole numbers")
        if found.min() < bounds.min or found.max() > bounds.max:
            raise BadRequest(f"{where} holds data that is not {datatype}: expected {bounds.min} to {bounds.max}")
        return found.astype(dtype)
    if kind not in "iuf":
        raise BadRequest(f"{where} holds data that is not {datatype}: expected numbers")
    with np.errstate(over="ignore"):  # a number too large is infinite, as for every reader of JSON
        if datatype == "BF16":
            return _bf16_from_float(found.astype(np.float32))
        return found.astype(dtype)


def _large_integers(data: list[Any], otherwise: np.ndarray) -> np.ndarray:
    """Whole numbers of 2^63 and more, which beside smaller ones numpy takes for floats."""
    whole = all(type(value) is int and 0 <= value < 1 << 64 for value in data)
    return np.array(data, np.uint64) if whole else otherwise


def _flat(data: list[Any]) -> list[Any]:
    flat: list[Any] = []
    waiting = [iter(data)]
    while waiting:  # not by recursion: how deep the lists are is the client's choice
        for entry in waiting[-1]:
            if isinstance(entry, list):
                waiting.append(iter(entry))
                break
            flat.append(entry)
        else:
            waiting.pop()
    return flat


def from_binary(data: memoryview, expected: Signature, shape: Sequence[int]) -> np.ndarray:
    """The array in the protocol's binary form: little-endian, row-major; BYTES as length and bytes of each element.

    Raises:
        BadRequest: the size is not that of the shape, or BYTES are cut off or no UTF-8 (ONNX's strings are).
    """
    where, count = f"input {expected.name!r}", math.prod(shape)
    if expected.datatype == "BYTES":
        return _strings(data, count, where).reshape(shape)
    dtype = DTYPES[expected.datatype]
    if len(data) != count * dtype.itemsize:
        raise BadRequest(
            f"{where} holds {len(data)} bytes; "
            f"{expected.datatype} of shape {list(shape)} takes {count * dtype.itemsize}"
        )
    values = np.frombuffer(data, dtype)
    # The first tensor of a body is aligned; one behind an odd number of bytes may not be.
    return (values if values.flags.aligned else values.copy()).reshape(shape)


def _strings(data: memoryview, count: int, where: str) -> np.ndarray:
    if count * _LENGTH.size > len(data):
        raise BadRequest(f"{where} holds {len(data)} bytes; its shape takes {count} elements of 4 bytes and more")
    values = np.empty(count, np.object_)
    begin = 0
    for i in range(count):
        if begin + _LENGTH.size > len(data):
            raise BadRequest(f"{where} ends after {i} of {count} elements")
        (length,) = _LENGTH.unpack_from(data, begin)
        begin += _LENGTH.size
        if begin + length > len(data):
            raise BadRequest(f"{where}: element {i} has {length} bytes; {len(data) - begin} are left")
        try:
            values[i] = str(data[begin : begin + length], "utf-8")
        except UnicodeDecodeError as error:
            raise BadRequest(f"{where}: element {i} is not UTF-8, as ONNX's strings must be") from error
        begin += length
    if begin != len(data):
        raise BadRequest(f"{where} holds {len(data) - begin} bytes behind its last element")
    return values


def _wanted(
    document: dict[str, Any], parameters: dict[str, Any], outputs: Mapping[str, Signature]
) -> tuple[WantedOutput, ...]:
    """What a request asks for: all outputs when it names none."""
    binary = parameters.get("binary_data_output", False)
    if not isinstance(binary, bool):
        raise BadRequest(f"'binary_data_output' is {_shorten(binary)}; expected true or false")
    entries = document.get("outputs")
    if not entries:
        return tuple(WantedOutput(name, binary) for name in outputs)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest("'outputs' must be a list of objects with a 'name'")
    wanted: dict[str, WantedOutput] = {}
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or name not in outputs:
            raise BadRequest(f"unknown output {_shorten(name)}; the model gives {_names(outputs)}")
        if name in wanted:
            raise BadRequest(f"output {name!r} is asked for twice")
        own = _parameters(entry, f"output {name!r}")
        as_binary, classes = own.get("binary_data", binary), own.get("classification", 0)
        if not isinstance(as_binary, bool):
            raise BadRequest(f"output {name!r} has binary_data {_shorten(as_binary)}; expected true or false")
        if type(classes) is not int or classes < 0:
            raise BadRequest(f"output {name!r} has classification {_shorten(classes)}; expected a number of classes")
        if classes and outputs[name].datatype == "BYTES":
            raise BadRequest(f"output {name!r} is BYTES, which have no best classes")
        wanted[name] = WantedOutput(name, as_binary, classes)
    return tuple(wanted.values())


# --- answers ----------------------------------------------------------------------------------------------------------


def encode_response(
    answer: dict[str, Any],
    wanted: Sequence[WantedOutput],
    results: Sequence[np.ndarray],
    outputs: Mapping[str, Signature],
    labels: Mapping[str, Sequence[str]],
) -> tuple[list[bytes | memoryview], int | None]:
    """The parts of an answer, and how many bytes of JSON come first; None when there is nothing else.

    Args:
        answer: what the answer says besides its outputs.
        results: one array for each of `wanted`, in order.
        labels: names of classes, by output.
    """
    entries: list[dict[str, Any]] = []
    tensors: list[bytes | memoryview] = []
    for want, values in zip(wanted, results, strict=True):
        datatype = outputs[want.name].datatype
        if want.classes:
            values, datatype = _classes(values, datatype, want.classes, labels.get(want.name, ())), "BYTES"
        entry: dict[str, Any] = {"name": want.name, "datatype": datatype, "shape": list(values.shape)}
        if want.binary:
            tensor = to_binary(values, datatype)
            entry["parameters"] = {"binary_data_size": len(tensor)}
            tensors.append(tensor)
        else:
            entry["data"] = _flat_json(values, datatype)
        entries.append(entry)
    answer["outputs"] = entries
    text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    # An output asked for as binary may be empty: the header is then due all the same.
    return [text, *tensors], len(text) if tensors else None


def to_binary(values: np.ndarray, datatype: str) -> bytes | memoryview:
    """The protocol's binary form; numbers uncopied, as a view of the array."""
    if datatype == "BYTES":
        encoded = [entry.encode() for entry in values.reshape(-1)]
        return b"".join(part for entry in encoded for part in (_LENGTH.pack(len(entry)), entry))
    if values.size == 0:
        return b""
    return np.ascontiguousarray(values, DTYPES[datatype]).reshape(-1).view(np.uint8).data


def _flat_json(values: np.ndarray, datatype: str) -> Any:
    flat = np.ascontiguousarray(values).reshape(-1)
    if datatype == "BYTES":
        return flat.tolist()
    if datatype == "BF16":
        return _float_from_bf16(flat)
    return flat.astype(np.float32) if datatype == "FP16" else flat  # every half float is a float


def _classes(values: np.ndarray, datatype: str, count: int, labels: Sequence[str]) -> np.ndarray:
    """The best classes as ``score:index`` or ``score:index:label``, best first: of each row where there are rows."""
    scores = _float_from_bf16(values) if datatype == "BF16" else values
    rows = scores.reshape(len(scores), -1) if scores.ndim > 1 and scores.size else scores.reshape(1, -1)
    count = min(count, rows.shape[1])
    best = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    texts = np.empty(best.shape, np.object_)
    for row, column in np.ndindex(best.shape):
        index = int(best[row, column])
        label = f":{labels[index]}" if index < len(labels) else ""
        texts[row, column] = f"{float(rows[row, index]):f}:{index}{label}"
    return texts if scores.ndim > 1 else texts.reshape(-1)


def _float_from_bf16(bits: np.ndarray) -> np.ndarray:
    """A BF16 is the upper half of a float."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _bf16_from_float(values: np.ndarray) -> np.ndarray:
    """Rounded to nearest, ties to even; NaN stays NaN."""
    bits = values.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)
