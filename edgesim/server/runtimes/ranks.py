"""Which inputs and outputs of an ONNX file have no shape, not even a number of dimensions.

ONNX Runtime describes such a tensor as it describes a scalar, by an empty shape. The file is read field by field, and
passed over where weights are: it may be as large as the memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Union

_Bytes = Union[bytes, mmap.mmap, memoryview]

# Numbers of fields in onnx.proto3: of ModelProto, GraphProto, ValueInfoProto, TypeProto and TypeProto.Tensor.
_GRAPH, _INPUT, _OUTPUT, _NAME, _TYPE, _TENSOR, _SHAPE = 7, 11, 12, 1, 2, 1, 2
# Kinds of fields in a message of protocol buffers.
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def of_any_rank(path: Path, content: bytes | None = None) -> frozenset[str]:
    """Return the names of a model's inputs and outputs without a shape.

    Args:
        content: a model that a client sent in place of the file.

    Raises:
        OSError: the file cannot be read.
    """
    if content is not None:
        return _in_model(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return _in_model(mapped)


def _in_model(model: _Bytes) -> frozenset[str]:
    names = set()
    try:
        for number, begin, end in _fields(model, 0, len(model)):
            if number == _GRAPH:
                names |= set(_in_graph(model, begin, end))
    except (IndexError, ValueError):  # not a model that ONNX Runtime has read like this: what is known so far
        pass
    return frozenset(names)


def _in_graph(model: _Bytes, begin: int, end: int) -> Iterator[str]:
    for number, value_begin, value_end in _fields(model, begin, end):
        if number in (_INPUT, _OUTPUT):
            name, has_shape = "", False
            for field, field_begin, field_end in _fields(model, value_begin, value_end):
                if field == _NAME:
                    name = bytes(model[field_begin:field_end]).decode(errors="replace")
                elif field == _TYPE:
                    tensors = [place for place in _fields(model, field_begin, field_end) if place[0] == _TENSOR]
                    # What is no tensor is refused elsewhere.
                    has_shape = not tensors or any(
                        place[0] == _SHAPE for _, *tensor in tensors for place in _fields(model, *tensor)
                    )
            if not has_shape:
                yield name


def _fields(model: _Bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of a message that have a length: their number, and where their content begins and ends.

    Raises:
        IndexError, ValueError: the message is cut off, or no message.
    """
    while begin < end:
        key, begin = _varint(model, begin)
        kind = key & 7
        if kind == _LENGTH:
            size, begin = _varint(model, begin)
            if begin + size > end:
                raise ValueError("a field is longer than its message")
            yield key >> 3, begin, begin + size
            begin += size
        elif kind == _VARINT:
            _, begin = _varint(model, begin)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            begin += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError("a field of an unknown kind")


def _varint(model: _Bytes, begin: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = model[begin]
        begin += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, begin
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
