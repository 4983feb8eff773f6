"""Arrays with many samples, divided into requests."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs.inputs import Arrays, batch_axis
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

ONE_FILE_EACH = "one file for each request in a directory"


def divide(model: Model, arrays: Mapping[str, NDArray[Any]], path: str) -> tuple[Arrays, ...]:
    """Return the requests that arrays with samples are.

    Samples lie along the first axis, or along the one that the model calls as it calls the batch of other inputs, as in
    a state ``[2, batch, 128]``. A request has one of them, or as many as the model fixes. An array with one axis more
    than the input has a request in each row. An array without samples, such as a scalar, goes with every request.

    Args:
        arrays: by input name, for some inputs of the model or all.
        path: the file that the arrays are from, for errors.

    Raises:
        ModelError: an array is no input of the model, or two arrays have different numbers of requests.
    """
    tensors = [tensor for tensor in model.inputs if tensor.name in arrays]
    parts = {tensor.name: _parts(model, tensor, arrays[tensor.name], path) for tensor in tensors}
    count = max((len(part) for part in parts.values()), default=0)
    for tensor in tensors:
        if len(parts[tensor.name]) == 1 < count:
            parts[tensor.name] = _parts_along_an_open_axis(tensor, arrays[tensor.name], count) or parts[tensor.name]
    for name, part in parts.items():
        if len(part) not in (1, count):
            other = next(other for other in parts if len(parts[other]) == count)
            raise ModelError(
                f"{path}: {name} has {len(part)} requests, and {other} {count}",
                fix=f"as many of each; or {ONE_FILE_EACH}: `input=DIR`",
            )
    return tuple({name: part[i % len(part)] for name, part in parts.items()} for i in range(count))


def _parts(model: Model, tensor: Tensor, values: NDArray[Any], path: str) -> Sequence[NDArray[Any]]:
    """Return an input's array for each request."""
    if tensor.any_rank:
        return [values[i : i + 1] for i in range(len(values))] if values.ndim else [values]
    if values.ndim == len(tensor.shape) + 1 and tensor.fits(values.shape[1:]):
        return list(values)
    if values.ndim != len(tensor.shape) or values.ndim == 0:
        return [values]  # whether it fits is looked at afterwards
    axis = batch_axis(model, tensor)
    each, has = tensor.shape[axis], values.shape[axis]
    if each == 0:
        return [values]
    each = max(each, 1)
    if has % each:
        raise ModelError(
            f"{path}: {tensor.name} has {has} samples, and a request of model {model.name} has {each}: {tensor}",
            fix=f"give a multiple of {each}; or {ONE_FILE_EACH}: `input=DIR`",
        )
    return np.split(values, range(each, has, each), axis=axis) if has else []


def _parts_along_an_open_axis(tensor: Tensor, values: NDArray[Any], count: int) -> Sequence[NDArray[Any]] | None:
    """Return the parts of an array along its only open axis of size `count`, where the model names no batch."""
    if values.ndim != len(tensor.shape):
        return None
    axes = [axis for axis, size in enumerate(tensor.shape) if size < 0 and values.shape[axis] == count]
    return np.split(values, count, axis=axes[0]) if len(axes) == 1 else None


def as_batch(model: Model, requests: Sequence[Arrays]) -> Arrays | None:
    """Return requests as one batch; None where the model does not take them together."""
    batch = {}
    for tensor in model.inputs:
        if tensor.name not in requests[0]:
            continue
        parts = [request[tensor.name] for request in requests]
        axis = batch_axis(model, tensor)
        is_open = tensor.any_rank or tensor.shape[axis : axis + 1] == (-1,)
        if is_open and parts[0].ndim:
            try:
                batch[tensor.name] = np.concatenate(parts, axis=axis)
            except ValueError:  # rows of different lengths
                return None
        elif not tensor.shape and all(part is parts[0] for part in parts):  # a scalar that goes with every request
            batch[tensor.name] = parts[0]
        else:
            return None
    return batch
