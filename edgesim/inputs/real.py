"""Real inputs of requests, from ``.npz`` and ``.npy`` files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs import array_files
from edgesim.inputs.inputs import Arrays, Inputs
from edgesim.models import tensor_types
from edgesim.models.repository import Model, Tensor


def of_file(model: Model, path: Path) -> Inputs:
    arrays = array_files.read(path, array_files.most_bytes())
    labels = arrays.pop("labels", None)
    _check_names(model, path, arrays)
    arrays = _with_bf16(model, arrays)
    count = min(len(values) if values.ndim else 0 for values in arrays.values())
    if count == 0:
        raise ModelError(f"{path}: contains no inputs")
    requests = tuple({name: values[i : i + 1] for name, values in arrays.items()} for i in range(count))
    _check_fit(model, path, requests[0])
    labelled = None
    if labels is not None and labels.shape == (count,):
        labelled = (arrays, _classes(labels, path))
    return Inputs(requests, f"{count} real ones from {path.name}", labelled)


def _classes(labels: NDArray[Any], path: Path) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        classes = labels.astype(np.int64) if labels.dtype.kind in "biuf" else None
    if classes is None or not np.array_equal(classes, labels):
        raise ModelError(f"{path}: labels are {labels.dtype}; a label is the number of a class")
    return classes


def of_directory(model: Model, directory: Path) -> Inputs:
    files = sorted(path for path in directory.iterdir() if path.suffix in (".npz", ".npy"))
    if not files:
        raise ModelError(f"{directory}: contains no .npz or .npy file")
    requests, most_bytes = [], array_files.most_bytes()
    for path in files:
        arrays = array_files.read(path, most_bytes)
        most_bytes -= sum(values.nbytes for values in arrays.values())
        if list(arrays) == ["array"] and len(model.inputs) == 1:  # of an .npy file
            arrays = {model.inputs[0].name: arrays["array"]}
        arrays.pop("labels", None)
        _check_names(model, path, arrays)
        arrays = _with_bf16(model, arrays)
        _check_fit(model, path, arrays)
        requests.append(arrays)
    return Inputs(tuple(requests), f"{len(requests)} real ones from {directory.name}/")


def _check_names(model: Model, path: Path, arrays: Arrays) -> None:
    names = {tensor.name for tensor in model.inputs}
    if set(arrays) != names:
        raise ModelError(f"{path}: contains {', '.join(sorted(arrays))}; the model takes {', '.join(sorted(names))}")


def _with_bf16(model: Model, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays with the bits of BF16 inputs as such: numpy writes them to a file as bytes or as UINT16."""
    bf16 = tensor_types.BY_DATATYPE["BF16"].dtype
    names = {tensor.name for tensor in model.inputs if tensor.datatype == "BF16"}
    bits = {name: arrays[name] for name in names if arrays[name].dtype in (np.dtype("V2"), np.dtype(np.uint16))}
    return arrays | {name: values.view(bf16) for name, values in bits.items()}


def _check_fit(model: Model, path: Path, request: Arrays) -> None:
    """Compare shape and type of a request with the model's inputs, before a board is started for them."""
    for tensor in model.inputs:
        values = request[tensor.name]
        kind = tensor_types.BY_DATATYPE.get(tensor.datatype)
        same_type = kind is None or (values.dtype == kind.dtype if kind.is_numeric else values.dtype.kind in "US")
        if not same_type or not fits(values.shape, tensor):
            raise ModelError(
                f"{path}: {tensor.name} is {values.dtype} {list(values.shape)} per request; the model takes {tensor}"
            )


def fits(shape: tuple[int, ...], tensor: Tensor) -> bool:
    """Whether a tensor may have this shape, in which every size is known."""
    return len(shape) == len(tensor.shape) and all(
        open_or_size in (-1, size) for size, open_or_size in zip(shape, tensor.shape, strict=True)
    )
