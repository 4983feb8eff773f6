"""Weights in files beside a model, read into memory.

ONNX Runtime maps such files. Where they may be overwritten while a model runs, a mapping ends the server: the part that
a shortened file no longer has cannot be read from its mapping (SIGBUS).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import onnxruntime

from ..tensor_types import BY_ONNX_NUMBER

_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL
# Types whose values have a fixed size of whole bytes: strings have none, and of the types that the protocol does not
# have, several values share a byte.
_READABLE = {number: kind for number, kind in BY_ONNX_NUMBER.items() if not kind.dtype.hasobject}


def read_external_weights(path: Path, checked: Any = None) -> dict[str, Any]:
    """Read the external weights of the model at `path`.

    Weights of subgraphs, and of types smaller than a byte, are left out.

    Args:
        checked: the model as `require_inside` returned it; None reads and checks the model here.

    Returns:
        The weights by name, as `onnxruntime.OrtValue`; empty if the model has none in other files.

    Raises:
        ValueError: a file is shorter than the model says, or outside the model's directory (see `require_inside`).
        OSError: a file cannot be read.
    """
    if all(entry == path for entry in path.parent.rglob("*") if entry.is_file()):
        return {}
    model = checked if checked is not None else require_inside(path)
    tensors = [t for t in model.graph.initializer if t.data_location == _EXTERNAL and t.data_type in _READABLE]
    return {tensor.name: _read_tensor(tensor, path.parent) for tensor in tensors}


def require_inside(path: Path, content: bytes | None = None) -> Any:
    """Check that a model names no file of weights outside its directory, before a runtime reads such a file.

    A path is relative and without ``..`` and ``.git``. Symbolic links lead into the repository, or into the directory
    that the model file itself lies in, with its links followed; and not to files in a ``.git`` directory
    (``.git/config`` may contain a token), except those of git-annex beside the model file in its store.

    Args:
        content: a model that a client sent in place of the file at `path`; it may name no file at all.

    Returns:
        The parsed model, for `read_external_weights`.

    Raises:
        ValueError: the model names another file.
        OSError: the model cannot be read.
    """
    from google.protobuf.message import DecodeError  # as in `_model_type`

    model = _model_type()()
    try:
        model.ParseFromString(path.read_bytes() if content is None else content)
    except DecodeError as error:
        raise ValueError(f"not an ONNX model: {error}") from error
    if content is None:
        _require_inside(model, path)
    elif (tensor := next(_external_tensors(model), None)) is not None:
        raise ValueError(
            f"the weights {_shown(tensor.name)} are in another file, which a model that is sent cannot have"
        )
    return model


def _require_inside(model: Any, path: Path) -> None:
    real = Path(os.path.realpath(path))
    # The repository is NAME/VERSION/model.onnx.
    directories = [real.parent, *(Path(os.path.realpath(parent)) for parent in list(path.parents)[:3:2])]
    for tensor in _external_tensors(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if len(entries) < len(tensor.external_data):  # ONNX Runtime could take another of them
            raise ValueError(f"the weights {_shown(tensor.name)} name their file or place twice")
        parts = PurePosixPath(location).parts
        by_name = bool(parts) and "\0" not in location and len(location) < 1024 and not location.startswith("/")
        if not by_name or {"..", ".git"} & set(parts):
            raise ValueError(
                f"the weights {_shown(tensor.name)} name a file outside the model's directory: {_shown(location)}"
            )
        target = Path(os.path.realpath(path.parent / location))
        inside = [target.relative_to(directory) for directory in directories if target.is_relative_to(directory)]
        if not inside:
            raise ValueError(f"{location} is a symbolic link out of the model's directory, to {target}")
        store = _annex_store(target)
        beside_the_model = store is not None and store == _annex_store(real)
        if all(".git" in place.parts for place in inside) and not beside_the_model:
            raise ValueError(f"{location} is a symbolic link to a file of git, {target}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:99]}…")


def _annex_store(path: Path) -> Path | None:
    """Return the store of git-annex that a file lies in (``annex/objects/XX/YY/KEY/KEY``); None for other files."""
    in_store = path.name == path.parent.name and path.parts[-6:-4] == ("annex", "objects")
    return path.parents[3] if in_store else None


def _external_tensors(model: Any) -> Iterator[Any]:
    """Yield the tensors with values in other files, also of branches, loops, functions and constants."""
    functions = list(model.functions)
    graphs, nodes = [model.graph], [node for function in functions for node in function.node]
    attributes = [attribute for function in functions for attribute in function.attribute_proto]
    while graphs or nodes or attributes:
        for graph in graphs:
            yield from _external([*graph.initializer, *_parts(graph.sparse_initializer)])
            nodes += graph.node
        attributes += [attribute for node in nodes for attribute in node.attribute]
        graphs, nodes = [], []
        for attribute in attributes:
            sparse = [attribute.sparse_tensor, *attribute.sparse_tensors]
            yield from _external([attribute.t, *attribute.tensors, *_parts(sparse)])
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
        attributes = []


def _external(tensors: list[Any]) -> Iterator[Any]:
    return (tensor for tensor in tensors if tensor.data_location == _EXTERNAL)


def _parts(sparse: Any) -> list[Any]:
    return [part for tensor in sparse for part in (tensor.values, tensor.indices)]


def _read_tensor(tensor: Any, directory: Path) -> Any:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    tensor_type, shape = _READABLE[tensor.data_type], tuple(tensor.dims)
    path = directory / entries["location"]
    count, offset = math.prod(shape), int(entries.get("offset") or "0")
    # First, since numpy makes the array before it reads the file.
    if min(offset, *shape, 0) < 0 or offset + count * tensor_type.dtype.itemsize > path.stat().st_size:
        raise ValueError(f"{entries['location']} is too short for the weights {_shown(tensor.name)}")
    values = np.fromfile(path, tensor_type.dtype, count=count, offset=offset).reshape(shape)
    if tensor_type.name == "BF16":  # the bits of a BF16 are integers in numpy, so the type has to be named
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(values, tensor.data_type)
    return onnxruntime.OrtValue.ortvalue_from_numpy(values)


@cache
def _model_type() -> Any:
    """Return the message type of onnx.ModelProto with the fields that say where weights are; others are skipped."""
    # Imported here because few models have external weights: under emulation each import delays the server's readiness.
    from ..protobuf import MessageTypes

    messages = {
        "ModelProto": {"graph": (7, "GraphProto"), "functions": (25, "*FunctionProto")},
        "FunctionProto": {"node": (7, "*NodeProto"), "attribute_proto": (11, "*AttributeProto")},
        "GraphProto": {
            "node": (1, "*NodeProto"),
            "initializer": (5, "*TensorProto"),
            "sparse_initializer": (15, "*SparseTensorProto"),
        },
        "NodeProto": {"attribute": (5, "*AttributeProto")},
        "AttributeProto": {
            "t": (5, "TensorProto"),
            "g": (6, "GraphProto"),
            "tensors": (10, "*TensorProto"),
            "graphs": (11, "*GraphProto"),
            "sparse_tensor": (22, "SparseTensorProto"),
            "sparse_tensors": (23, "*SparseTensorProto"),
        },
        "SparseTensorProto": {"values": (1, "TensorProto"), "indices": (2, "TensorProto")},
        "TensorProto": {
            "dims": (1, "*int64"),
            "data_type": (2, "int32"),
            "name": (8, "string"),
            "external_data": (13, "*Entry"),
            "data_location": (14, "int32"),
        },
        "Entry": {"key": (1, "string"), "value": (2, "string")},
    }
    return MessageTypes(messages, {})["ModelProto"]
