"""Real inputs of requests, from ``.npz`` and ``.npy`` files."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs import array_files
from edgesim.inputs.array_types import as_type_of
from edgesim.inputs.inputs import Arrays, Inputs, Labelled
from edgesim.inputs.samples import ONE_FILE_EACH, as_batch, divide
from edgesim.models.repository import Model

_LABELS = "labels"
_BY_NAME = "name the arrays as the model names its inputs: numpy.savez(FILE, x=…)"
_NUMBERED = re.compile(r"(?P<name>.+)\.(?P<number>\d{1,9})")


def read(model: Model, path: Path) -> Inputs:
    """Return the real inputs in a file, with the samples along an axis, or in a directory, with a request in each file.

    Only inputs of the model are among them, and maybe not all.

    Raises:
        ModelError: there are none, or they are no inputs of the model.
    """
    return _of_directory(model, path) if path.is_dir() else _of_file(model, path)


def _of_file(model: Model, path: Path) -> Inputs:
    arrays, labels = _arrays(model, path, array_files.most_bytes())
    requests = _numbered(model, arrays, path) or divide(model, arrays, str(path))
    if not requests:
        raise ModelError(f"{path}: contains no inputs")
    for request in requests:
        _require_fit(model, path, request)
    each = _samples_each(model, arrays, len(requests))
    origin = f"{len(requests)} real ones{f' of {each} samples' if each > 1 else ''} from {path.name}"
    if labels is None:
        return Inputs(requests, origin)
    classes = _classes(labels, path, len(requests) * each)
    batch = as_batch(model, requests)
    if batch is not None:
        return Inputs(requests, origin, (Labelled(batch, classes),))
    parts = np.split(classes, len(requests))
    return Inputs(requests, origin, tuple(map(Labelled, requests, parts)))


def _samples_each(model: Model, arrays: Mapping[str, NDArray[Any]], requests: int) -> int:
    """Return how many samples a request has where the model fixes their number, by how a file was divided."""
    sizes = {
        tensor.shape[0]
        for tensor in model.inputs
        if tensor.name in arrays
        and tensor.shape
        and arrays[tensor.name].ndim == len(tensor.shape)
        and tensor.shape[0] > 1
        and len(arrays[tensor.name]) == requests * tensor.shape[0]
    }
    return sizes.pop() if len(sizes) == 1 else 1


def _numbered(model: Model, arrays: Mapping[str, NDArray[Any]], path: Path) -> tuple[Arrays, ...]:
    """Return the requests of a file with an array for each: ``ids.0``, ``ids.1``; empty for any other file."""
    names = {tensor.name for tensor in model.inputs}
    requests: dict[int, dict[str, NDArray[Any]]] = defaultdict(dict)
    for key, values in arrays.items():
        match = _NUMBERED.fullmatch(key)
        if key not in names and match is not None and match["name"] in names:
            requests[int(match["number"])][match["name"]] = values
    for number, request in requests.items():
        request |= {name: arrays[name] for name in names - set(request) if name in arrays}
        if missing := sorted({name for one in requests.values() for name in one} - set(request)):
            raise ModelError(f"{path}: request {number} has no {missing[0]}.{number}")
    return tuple(requests[number] for number in sorted(requests))


def _arrays(model: Model, path: Path, most_bytes: int) -> tuple[dict[str, NDArray[Any]], NDArray[Any] | None]:
    """Return the arrays of a file that are inputs of the model, and its labels, if there are any.

    Raises:
        ModelError: another array is in the file.
    """
    arrays = array_files.read(path, most_bytes)
    tensors = {tensor.name: tensor for tensor in model.inputs}
    if list(arrays) == [array_files.UNNAMED] and len(tensors) == 1 and path.suffix == ".npy":
        arrays = dict.fromkeys(tensors, arrays[array_files.UNNAMED])
    labels = arrays.pop(_LABELS) if _LABELS in arrays and _LABELS not in tensors else None
    for key, values in arrays.items():
        match = _NUMBERED.fullmatch(key)
        name = match["name"] if key not in tensors and match is not None else key
        if name not in tensors:
            raise ModelError(
                f"{path}: contains {', '.join(sorted(arrays))}; the model takes {', '.join(sorted(tensors))}",
                fix=_BY_NAME,
            )
        arrays[key] = as_type_of(tensors[name], values, f"{path}: {key}")
    return arrays, labels


def _classes(labels: NDArray[Any], path: Path, count: int) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        classes = labels.astype(np.int64) if labels.dtype.kind in "biuf" else None
    if classes is None or not np.array_equal(classes, labels):
        raise ModelError(f"{path}: labels are {labels.dtype}; a label is the number of a class")
    if labels.shape != (count,):
        raise ModelError(
            f"{path}: labels have the shape {list(labels.shape)}, and there are {count} samples",
            fix="one label for each sample; or leave `labels` out",
        )
    return classes


def _of_directory(model: Model, directory: Path) -> Inputs:
    files = sorted(path for path in directory.iterdir() if path.suffix in (".npz", ".npy"))
    if not files:
        raise ModelError(f"{directory}: contains no .npz or .npy file")
    requests, most_bytes = [], array_files.most_bytes()
    for path in files:
        arrays, _ = _arrays(model, path, most_bytes)
        most_bytes -= sum(values.nbytes for values in arrays.values())
        _require_fit(model, path, arrays)
        requests.append(arrays)
    return Inputs(tuple(requests), f"{len(requests)} real ones from {directory.name}/")


def _require_fit(model: Model, path: Path, request: Arrays) -> None:
    """Compare the shapes of a request with the model's inputs, before a board is started for them."""
    for tensor in model.inputs:
        values = request.get(tensor.name)
        if values is not None and not tensor.fits(values.shape):
            raise ModelError(
                f"{path}: {tensor.name} is {values.dtype} {list(values.shape)} per request; the model takes {tensor}",
                fix=f"samples lie along the first axis; or give {ONE_FILE_EACH}: `input=DIR`",
            )


def require_all(model: Model, chosen: Inputs, path: Path) -> None:
    """Refuse real inputs of a model that takes others, too.

    Raises:
        ModelError: names the inputs that are missing.
    """
    has = sorted({name for request in chosen.requests for name in request})
    takes = sorted(tensor.name for tensor in model.inputs)
    if has != takes:
        raise ModelError(f"{path}: contains {', '.join(has)}; the model takes {', '.join(takes)}", fix=_BY_NAME)
