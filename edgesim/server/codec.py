"""Read and write inference requests in the Open Inference Protocol's JSON and binary forms.

Binary tensors are not copied on their way in or out: an input array is a view of the request's body, and a part of a
response is a view of the runtime's output.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import orjson

from .inference_request import BadRequest, InferRequest, InferResponse, RequestedOutput
from .tensor_types import DTYPES, INTEGERS, Signature, bf16_to_float, float_to_bf16

# Parsed JSON takes up to about twenty times its length in memory.
JSON_LIMIT_BYTES = 64 << 20
_CACHED_JSON_BYTES = 1024
_LENGTH = struct.Struct("<I")


# --- requests ---------------------------------------------------------------------------------------------------------


class Document(NamedTuple):
    """The JSON part of a request, checked; `with_tensors` adds the binary tensors that follow the JSON.

    Attributes:
        arrays: the inputs whose data are in the JSON.
        binary: the other inputs in the order of their bytes: signature, shape, size in bytes.
    """

    id: str | None
    arrays: Mapping[str, np.ndarray]
    binary: tuple[tuple[Signature, list[int], int], ...]
    outputs: tuple[RequestedOutput, ...]

    def with_tensors(self, data: memoryview) -> InferRequest:
        """Return the request, with the tensors of `data`, the bytes that follow the JSON.

        Raises:
            BadRequest: the bytes are too many, too few, or do not fit a tensor.
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


class RequestDecoder:
    """Decodes the inference requests for one model."""

    def __init__(self, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature]) -> None:
        self._read_document = partial(read_document, inputs=inputs, outputs=outputs)
        # Why a cache: a client of binary tensors sends the same JSON before each tensor, so the JSON is parsed and
        # checked once. The p50 of a no-op over HTTP is 88 µs with this cache and 103 µs without it (see
        # docs/decisions/own-http-connection.md). At most 64 texts of 1 KiB a model are kept.
        # Trap: requests share a cached Document, so nothing may change one, nor the arrays that its JSON held.
        self._cached_document = lru_cache(maxsize=64)(self._read_document)
        self._takes_text = any(signature.datatype == "BYTES" for signature in inputs.values())

    def decode(self, body: memoryview, json_length: int) -> InferRequest:
        """Decode a request's body, whose first `json_length` bytes are JSON.

        Raises:
            BadRequest: see `read_document` and `Document.with_tensors`.
        """
        text = body[:json_length]
        if json_length == len(body) or json_length > _CACHED_JSON_BYTES:
            document = self._read_document(text)
        else:
            document = self._cached_document(bytes(text))
        return document.with_tensors(body[json_length:])

    def text_bytes(self, body: memoryview, json_length: int) -> int:
        """Return how much of a body has to be read value by value: JSON, and BYTES even in binary form."""
        return len(body) if self._takes_text else json_length


def read_document(
    text: memoryview | bytes, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature]
) -> Document:
    """Read the JSON part of an inference request for a model with these inputs and outputs.

    Raises:
        BadRequest: the JSON is malformed, or see `check_document`.
    """
    return check_document(parse_json(text), inputs, outputs)


def check_document(
    document: dict[str, Any], inputs: Mapping[str, Signature], outputs: Mapping[str, Signature]
) -> Document:
    """Check a request in the form of the protocol's JSON, for a model with these inputs and outputs.

    Raises:
        BadRequest: an input is missing, unknown, repeated, or of a wrong type, shape or size.
    """
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
    return Document(_id(document), arrays, tuple(binary.values()), _requested_outputs(document, parameters, outputs))


def parse_json(text: memoryview | bytes) -> dict[str, Any]:
    """Parse the JSON object of a request.

    Raises:
        BadRequest: the text is too long, not JSON, or not an object.
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
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise BadRequest(f"'id' is {_shorten(request_id)}; expected a string")
    return request_id


def _checked_shape(entry: dict[str, Any], expected: Signature) -> list[int]:
    where = f"input {expected.name!r}"
    datatype, shape = entry.get("datatype"), entry.get("shape")
    if datatype != expected.datatype:
        raise BadRequest(f"{where} has datatype {_shorten(datatype)}; expected {expected.datatype}")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 62 for size in shape):
        raise BadRequest(f"{where} has shape {_shorten(shape)}; expected a list of sizes like {list(expected.shape)}")
    if expected.any_rank:
        return shape
    if len(shape) != len(expected.shape) or any(
        expected_size not in (-1, size) for size, expected_size in zip(shape, expected.shape)
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
            numbers = np.asarray(data).reshape(-1)
        except (ValueError, OverflowError) as error:
            raise BadRequest(f"{where} holds data that is not {datatype}: lists of different lengths") from error
        if datatype == "UINT64" and numbers.dtype.kind in "fO":
            numbers = _large_integers(_flat(data), numbers)
        values = _cast(numbers, datatype, where)
    if values.size != math.prod(shape):
        raise BadRequest(f"{where} holds {values.size} values; its shape {shape} takes {math.prod(shape)}")
    return values.reshape(shape)


def _cast(numbers: np.ndarray, datatype: str, where: str) -> np.ndarray:
    """Convert the numbers of JSON to `datatype`; a number that does not fit is refused, never rounded or wrapped."""
    dtype, kind = DTYPES[datatype], numbers.dtype.kind
    if numbers.size == 0:
        return numbers.astype(dtype)
    if datatype == "BOOL":
        if kind == "b" or (kind in "iu" and numbers.min() >= 0 and numbers.max() <= 1):
            return numbers.astype(dtype)
        raise BadRequest(f"{where} holds data that is not BOOL: expected true and false")
    if datatype in INTEGERS:
        bounds = np.iinfo(dtype)
        if kind not in "iu":
            raise BadRequest(f"{where} holds data that is not {datatype}: expected whole numbers")
        if numbers.min() < bounds.min or numbers.max() > bounds.max:
            raise BadRequest(f"{where} holds data that is not {datatype}: expected {bounds.min} to {bounds.max}")
        return numbers.astype(dtype)
    if kind not in "iuf":
        raise BadRequest(f"{where} holds data that is not {datatype}: expected numbers")
    with np.errstate(over="ignore"):  # a number too large becomes infinity, as with every JSON reader
        if datatype == "BF16":
            return float_to_bf16(numbers.astype(np.float32))
        return numbers.astype(dtype)


def _large_integers(data: list[Any], numbers: np.ndarray) -> np.ndarray:
    """Return `data` as UINT64 if it is integers of 0 to 2^64 - 1, else `numbers`, which numpy made of `data`.

    numpy makes floats of integers of 2^63 and more that are beside smaller ones.
    """
    integers = all(type(value) is int and 0 <= value < 1 << 64 for value in data)
    return np.array(data, np.uint64) if integers else numbers


def _flat(data: list[Any]) -> list[Any]:
    flat: list[Any] = []
    waiting = [iter(data)]
    while waiting:  # no recursion: the client chooses how deep the lists are
        for entry in waiting[-1]:
            if isinstance(entry, list):
                waiting.append(iter(entry))
                break
            flat.append(entry)
        else:
            waiting.pop()
    return flat


def from_binary(data: memoryview, expected: Signature, shape: Sequence[int]) -> np.ndarray:
    """Read an array from the protocol's binary form: little-endian, row-major; BYTES as length and bytes per element.

    Returns:
        An array of `shape`: a view of `data` for numbers in aligned memory, else a copy.

    Raises:
        BadRequest: the size does not fit the shape, or BYTES are cut off or not UTF-8, as ONNX's strings are.
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
    # The first tensor of a body is aligned (see http_connection); a tensor behind an odd number of bytes may not be.
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


def _requested_outputs(
    document: dict[str, Any], parameters: dict[str, Any], outputs: Mapping[str, Signature]
) -> tuple[RequestedOutput, ...]:
    """Return the outputs that a request asks for: all of the model's if it names none."""
    binary = parameters.get("binary_data_output", False)
    if not isinstance(binary, bool):
        raise BadRequest(f"'binary_data_output' is {_shorten(binary)}; expected true or false")
    entries = document.get("outputs")
    if not entries:
        return tuple(RequestedOutput(name, binary) for name in outputs)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest("'outputs' must be a list of objects with a 'name'")
    requested: dict[str, RequestedOutput] = {}
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or name not in outputs:
            raise BadRequest(f"unknown output {_shorten(name)}; the model gives {_names(outputs)}")
        if name in requested:
            raise BadRequest(f"output {name!r} is asked for twice")
        output_parameters = _parameters(entry, f"output {name!r}")
        as_binary = output_parameters.get("binary_data", binary)
        classes = output_parameters.get("classification", 0)
        if not isinstance(as_binary, bool):
            raise BadRequest(f"output {name!r} has binary_data {_shorten(as_binary)}; expected true or false")
        if type(classes) is not int or classes < 0:
            raise BadRequest(f"output {name!r} has classification {_shorten(classes)}; expected a number of classes")
        if classes and outputs[name].datatype == "BYTES":
            raise BadRequest(f"output {name!r} is BYTES, which have no best classes")
        requested[name] = RequestedOutput(name, as_binary, classes)
    return tuple(requested.values())


# --- responses --------------------------------------------------------------------------------------------------------


def encode_response(response: InferResponse) -> tuple[list[bytes | memoryview], int | None]:
    """Return the parts of a response body, and the length of the JSON in bytes; None if the JSON is all."""
    document: dict[str, Any] = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id is not None:
        document["id"] = response.id
    document["outputs"] = entries = []
    tensors: list[bytes | memoryview] = []
    for output, values in zip(response.outputs, response.results):
        values, datatype = as_requested(response, output, values)
        entry: dict[str, Any] = {"name": output.name, "datatype": datatype, "shape": list(values.shape)}
        if output.binary:
            tensor = to_binary(values, datatype)
            entry["parameters"] = {"binary_data_size": len(tensor)}
            tensors.append(tensor)
        else:
            entry["data"] = _flat_json(values, datatype)
        entries.append(entry)
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # A binary output may be empty; the length of the JSON has to be sent with it all the same.
    return [text, *tensors], len(text) if tensors else None


def as_requested(response: InferResponse, output: RequestedOutput, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the values that a request asks for, and their type: a model's output, or its best classes as BYTES."""
    datatype = response.signatures[output.name].datatype
    if not output.classes:
        return values, datatype
    return _classes(values, datatype, output.classes, response.labels.get(output.name, ())), "BYTES"


def to_binary(values: np.ndarray, datatype: str) -> bytes | memoryview:
    """Return the protocol's binary form: for numbers a view of the array, not a copy."""
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
        return bf16_to_float(flat)
    return flat.astype(np.float32) if datatype == "FP16" else flat  # every FP16 value is a float32


def _classes(values: np.ndarray, datatype: str, count: int, labels: Sequence[str]) -> np.ndarray:
    """Return the `count` best classes, best first, as ``score:index`` or ``score:index:label``.

    `values` of two or more dimensions have a row for each entry of the first dimension, and so has the result.
    """
    scores = bf16_to_float(values) if datatype == "BF16" else values
    rows = scores.reshape(len(scores), -1) if scores.ndim > 1 and scores.size else scores.reshape(1, -1)
    count = min(count, rows.shape[1])
    best = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    texts = np.empty(best.shape, np.object_)
    for row, column in np.ndindex(best.shape):
        index = int(best[row, column])
        label = f":{labels[index]}" if index < len(labels) else ""
        texts[row, column] = f"{float(rows[row, index]):f}:{index}{label}"
    return texts if scores.ndim > 1 else texts.reshape(-1)
