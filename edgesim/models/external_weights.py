"""External weights: the files that the tensors of an ONNX file name, checked before anything reads them.

A model file is hostile until shown otherwise. The path of a file of weights is relative to the directory of the model
file as the user gave it (where that file is a symbolic link: the link's directory, not that of its target), and

- by name, it stays in that directory: it is not empty, not absolute, and has no part ``..`` and no part ``.git``. ONNX
  and ONNX Runtime refuse ``..`` as well, also where the path returns to the directory;
- by links, it leads to where `edgesim.models.links` allows.

No other file is read, hashed, mounted or packed, or even looked for.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgesim import untrusted
from edgesim.errors import HostError, ModelError
from edgesim.models import placeholders, tensor_types
from edgesim.models.links import Bounds, follow

if TYPE_CHECKING:
    import onnx

_SAVE = "save the model with its weights beside it: onnx.save(model, 'model.onnx', save_as_external_data=True)"


@dataclass(frozen=True, kw_only=True)
class ExternalTensor:
    """A tensor whose values are in another file.

    Attributes:
        location: path of the file, relative to the model's directory, with ``/``.
        end: position after the tensor's last byte in the file.
    """

    name: str
    location: PurePosixPath
    end: int


def tensors(proto: "onnx.ModelProto") -> Iterator["onnx.TensorProto"]:
    """Yield each weight of a model: initializers, also of branches, loops and functions, and external constants.

    Tensors in attributes (``Constant``) count if their values are in another file: a small constant within the file,
    such as an axis, is no weight.
    """
    yield from _initializers(proto.graph)
    yield from _nested(proto)


def are_nested(proto: "onnx.ModelProto") -> bool:
    """Return whether a branch, a loop, a function or a constant has values in another file."""
    from onnx import TensorProto

    return any(tensor.data_location == TensorProto.EXTERNAL for tensor in _nested(proto))


def are_named_in(node: "onnx.NodeProto") -> bool:
    """Return whether a node has values in another file, in its attributes or in a branch.

    ONNX's own functions (`onnx.numpy_helper.to_array`, the reference evaluator) open such a file, in the working
    directory.
    """
    from onnx import TensorProto

    return any(tensor.data_location == TensorProto.EXTERNAL for tensor in _of_nodes([node]))


def _nested(proto: "onnx.ModelProto") -> Iterator["onnx.TensorProto"]:
    yield from _of_nodes(proto.graph.node)
    for function in proto.functions:
        yield from _of_attributes(function.attribute_proto)
        yield from _of_nodes(function.node)


def _of_nodes(nodes: Iterable["onnx.NodeProto"]) -> Iterator["onnx.TensorProto"]:
    for node in nodes:
        yield from _of_attributes(node.attribute)


def _of_attributes(attributes: Iterable["onnx.AttributeProto"]) -> Iterator["onnx.TensorProto"]:
    from onnx import TensorProto

    waiting = list(attributes)  # a stack, because graphs in graphs may be deeper than Python's recursion
    while waiting:
        attribute = waiting.pop()
        constants = [attribute.t, *attribute.tensors, *_parts([attribute.sparse_tensor, *attribute.sparse_tensors])]
        yield from (tensor for tensor in constants if tensor.data_location == TensorProto.EXTERNAL)
        for graph in (attribute.g, *attribute.graphs):
            yield from _initializers(graph)
            waiting += [inner for node in graph.node for inner in node.attribute]


def _initializers(graph: "onnx.GraphProto") -> Iterator["onnx.TensorProto"]:
    yield from graph.initializer
    yield from _parts(graph.sparse_initializer)


def _parts(sparse: Iterable["onnx.SparseTensorProto"]) -> Iterator["onnx.TensorProto"]:
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices


def files(path: Path, proto: "onnx.ModelProto", repositories: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the files of weights that an ONNX file refers to, each once, sorted by name; links are not followed.

    Args:
        path: the model file as the user gave it.
        repositories: directories that the user named, into which links may lead.

    Raises:
        ModelError: a path leads out of the model's directory; a file is missing, too short or a placeholder.
        HostError: this user cannot read a file.
    """
    from onnx import TensorProto

    external = [_read(path, tensor) for tensor in tensors(proto) if tensor.data_location == TensorProto.EXTERNAL]
    bounds = Bounds.of(path, repositories)
    found = {}
    for tensor in sorted(external, key=lambda tensor: (tensor.location, -tensor.end)):
        if tensor.location not in found:  # the tensor that ends last: the file is long enough for the others, too
            found[tensor.location] = _require(path, tensor, bounds)
    return tuple(found.values())


def _read(path: Path, tensor: "onnx.TensorProto") -> ExternalTensor:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    parts = PurePosixPath(location).parts
    if not parts or "\0" in location:
        raise ModelError(f"{path}: the weights {tensor.name!r} name no file: {location!r}", fix=_SAVE)
    if len(entries) < len(tensor.external_data):  # another reader could take another of them
        raise ModelError(f"{path}: the weights {tensor.name!r} name their file or place twice", fix=_SAVE)
    if location.startswith("/") or ".." in parts or ".git" in parts:
        raise ModelError(
            f"{path}: the weights {tensor.name!r} name a file outside the model's directory: {location!r}; edgesim does"
            " not read it",
            fix=_SAVE,
        )
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or 0)
    except ValueError as error:
        places = ", ".join(f"{key} {entries[key]!r}" for key in ("offset", "length") if key in entries)
        raise ModelError(f"{path}: the weights {tensor.name!r} have no number as {places}", fix=_SAVE) from error
    if offset < 0 or length < 0:
        raise ModelError(f"{path}: the weights {tensor.name!r} begin or end before their file", fix=_SAVE)
    size = _size_bytes(tensor)
    if length and size and length != size:  # ONNX Runtime refuses the model
        raise ModelError(
            f"{path}: the weights {tensor.name!r} take {size:,} bytes by their shape, and {length:,} by their place in "
            f"{location}",
            fix=_SAVE,
        )
    return ExternalTensor(name=tensor.name, location=PurePosixPath(location), end=offset + (length or size))


def _size_bytes(tensor: "onnx.TensorProto") -> int:
    """Return the size of a tensor's values; 0 for a type of unknown size."""
    return math.ceil(math.prod(tensor.dims) * (tensor_types.bits(tensor.data_type) or 0) / 8)


def _require(path: Path, tensor: ExternalTensor, bounds: Bounds) -> Path:
    """Return the file of a tensor.

    Raises:
        ModelError: the file is missing, too short or a placeholder, or a link leads out of the bounds.
        HostError: this user cannot read the file.
    """
    file = path.parent / tensor.location
    # First, so that nothing outside the bounds is looked at, not even whether it exists.
    if not bounds.contain(file):
        raise ModelError(
            f"{path}: its file of weights {tensor.location} is a symbolic link out of the model's directory, to "
            f"{follow(file)}; edgesim does not read it",
            fix=f"copy the file to {file}, or name a directory that contains both by `models=DIR`",
        )
    try:
        if not file.is_file():
            raise _missing(path, file, tensor)
        size = file.stat().st_size
        placeholder = placeholders.identify(file)
    except OSError as error:
        raise unreadable(file, error) from error
    if placeholder is not None and (size < tensor.end or placeholder.pointer):
        problem, fix = placeholder.kind, placeholder.fix
    elif size < tensor.end:
        problem, fix = "cut short", f"copy or download {file} again"
    else:
        return file
    raise ModelError(
        f"{path}: its file of weights {tensor.location} is {problem}: it has {size:,} bytes, and the model needs "
        f"{tensor.end:,}",
        fix=fix,
    )


def _missing(path: Path, file: Path, tensor: ExternalTensor) -> ModelError:
    problem = f"{path}: its file of weights {tensor.location} is missing"
    if file.is_symlink():
        return ModelError(
            f"{problem}: the target of the symbolic link does not exist",
            fix=f"fetch the file: dvc pull, git annex get, or huggingface-cli download, for {file}",
        )
    if "\\" in str(tensor.location):
        return ModelError(f"{problem}: a path of Windows", fix=f"export the model with / in its paths; or: {_SAVE}")
    if (kind := untrusted.other_kind(file)) is not None:
        problem = f"{path}: its file of weights {tensor.location} is {kind}, not a file"
    fix = placeholders.fetching(file) or f"put {tensor.location} into the directory of {path.name}"
    return ModelError(problem, fix=fix)


def unreadable(file: Path, error: OSError) -> HostError | ModelError:
    """Return edgesim's error for a model file that cannot be read: without permission, it is the host's fault."""
    if isinstance(error, PermissionError):
        return HostError(
            f"{file}: this user has no right to read it", fix=f"chmod u+rX {file}, or run edgesim as its owner"
        )
    return ModelError(f"{file}: {error.strerror}")
