"""Inputs of requests: real inputs from files, or random inputs from a seed that fit the model's signature."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.loadgen import array_files
from edgesim.models import table_rows, tensor_types
from edgesim.models.repository import Model, Tensor
from edgesim.options import InputOptions
from edgesim.units import format_bytes

Arrays = Mapping[str, NDArray[np.generic]]

RANDOM_REQUESTS = 8
_MOST_RANDOM_INTEGER = 99


@dataclass(frozen=True)
class Inputs:
    """Inputs that the load generator sends in turn, over and over.

    Attributes:
        requests: for each request, arrays by input name.
        origin: where the inputs come from, in a few words for the result.
        labelled: all real inputs as one batch, and the class of each; None without labels.
        is_random: whether the inputs are drawn at random, and may not fit what the model takes.
    """

    requests: tuple[Arrays, ...]
    origin: str
    labelled: tuple[Arrays, NDArray[np.int64]] | None = None
    is_random: bool = False


def samples_in(model: Model, request: Arrays) -> int:
    """Return how many samples a request has: the first size of its inputs where the model leaves it open, else 1."""
    sizes = {request[tensor.name].shape[0] if tensor.shape[:1] == (-1,) else 1 for tensor in model.inputs}
    sizes.discard(1)
    return sizes.pop() if len(sizes) == 1 else 1


def choose(model: Model, options: InputOptions) -> Inputs:
    """Return the real inputs that the options name, else those that came with the model, else random inputs.

    Raises:
        ModelError: a shape or a range does not fit the model's inputs, or a file of inputs does not.
    """
    if options.input is not None:
        if options.shapes or options.ranges:
            raise ModelError(
                "`input`: real inputs have their own shapes and values", fix="leave out `shapes` and `ranges`"
            )
        return _directory(model, options.input) if options.input.is_dir() else _file(model, options.input)
    if model.samples_path is not None and not options.shapes and not options.ranges:
        return _file(model, model.samples_path)
    return _random(model, options)


def _file(model: Model, path: Path) -> Inputs:
    arrays = array_files.read(path, array_files.most_bytes())
    labels = arrays.pop("labels", None)
    _check_names(model, path, arrays)
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


def _directory(model: Model, directory: Path) -> Inputs:
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
        _check_fit(model, path, arrays)
        requests.append(arrays)
    return Inputs(tuple(requests), f"{len(requests)} real ones from {directory.name}/")


def _check_names(model: Model, path: Path, arrays: Arrays) -> None:
    names = {tensor.name for tensor in model.inputs}
    if set(arrays) != names:
        raise ModelError(f"{path}: contains {', '.join(sorted(arrays))}; the model takes {', '.join(sorted(names))}")


def _check_fit(model: Model, path: Path, request: Arrays) -> None:
    """Compare shape and type of a request with the model's inputs, before a board is started for them."""
    for tensor in model.inputs:
        values = request[tensor.name]
        kind = tensor_types.BY_DATATYPE.get(tensor.datatype)
        same_type = kind is None or (values.dtype == kind.dtype if kind.is_numeric else values.dtype.kind in "US")
        if not same_type or not _fits(values.shape, tensor):
            raise ModelError(
                f"{path}: {tensor.name} is {values.dtype} {list(values.shape)} per request; the model takes {tensor}"
            )


def _fits(shape: tuple[int, ...], tensor: Tensor) -> bool:
    """Whether a tensor may have this shape, in which every size is known."""
    return len(shape) == len(tensor.shape) and all(
        open_or_size in (-1, size) for size, open_or_size in zip(shape, tensor.shape, strict=True)
    )


def _random(model: Model, options: InputOptions) -> Inputs:
    names = {tensor.name for tensor in model.inputs}
    for field, by_name in (("shapes", options.shapes), ("ranges", options.ranges)):
        if unknown := sorted(set(by_name) - names):
            raise ModelError(
                f"`{field}` {unknown[0]}: model {model.name} takes {', '.join(str(t) for t in model.inputs)}"
            )
    generator = np.random.default_rng(options.seed)
    # Values below 100 are within most tables; a smaller table, as of the types of tokens, is known from the graph.
    rows = table_rows.by_input(model)
    small = {name: (0.0, count - 1.0) for name, count in rows.items() if 0 < count <= _MOST_RANDOM_INTEGER}
    ranges = {**small, **options.ranges}
    shapes = {tensor.name: _shape(model, tensor, options.shapes.get(tensor.name)) for tensor in model.inputs}
    require_memory(model, shapes, RANDOM_REQUESTS)
    requests = tuple(
        {
            tensor.name: random_array(generator, tensor, shapes[tensor.name], ranges.get(tensor.name))
            for tensor in model.inputs
        }
        for _ in range(RANDOM_REQUESTS)
    )
    return Inputs(requests, f"random, seed {options.seed}", is_random=True)


def require_memory(model: Model, shapes: Mapping[str, tuple[int, ...]], requests: int) -> None:
    """Refuse random inputs that this host has not the memory for, before they are made.

    Raises:
        ModelError: names the sizes.
    """
    # At least four bytes of each element while random values are made; numpy counts a size of 0 as 1 here, too.
    needed = requests * sum(4 * math.prod(max(size, 1) for size in shape) for shape in shapes.values())
    if needed > array_files.most_bytes():
        sizes = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ModelError(
            f"model {model.name}: random inputs of {sizes} for {requests} requests take {format_bytes(needed)}, more"
            " than this host has",
            fix="give real inputs: `input=FILE.npz`",
        )


def _shape(model: Model, tensor: Tensor, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape that the options give, or the tensor's own with a first size of 1 where it is open."""
    if shape is not None:
        if not _fits(shape, tensor):
            raise ModelError(f"`shapes` {tensor.name}={','.join(map(str, shape))}: model {model.name} takes {tensor}")
        return shape
    if -1 in tensor.shape[1:]:
        raise ModelError(
            f"model {model.name}: {tensor} has sizes that are only known at run time",
            fix=f"`shapes` {tensor.name}={','.join('1' if n < 0 else str(n) for n in tensor.shape)}, with your sizes",
        )
    return tuple(1 if n < 0 else n for n in tensor.shape)


def random_array(
    generator: np.random.Generator, tensor: Tensor, shape: tuple[int, ...], bounds: tuple[float, float] | None = None
) -> NDArray[np.generic]:
    """Return random values that fit a tensor, from the first of `bounds` to the second.

    Without bounds: floats in [0, 1), integers below 100, booleans with equal chances, digits as text.

    Raises:
        ModelError: the type has no random values, or the bounds are outside the type's range.
    """
    if tensor.datatype == "BYTES":
        if bounds is not None:
            raise ModelError(f"`ranges` {tensor.name}: text has no range")
        return np.asarray(generator.integers(0, 10, shape)).astype(str).astype(np.object_)
    kind = tensor_types.BY_DATATYPE.get(tensor.datatype)
    if kind is None or kind.dtype is None:
        raise ModelError(f"{tensor}: there are no random inputs of this type", fix="give real inputs: `input=FILE.npz`")
    dtype = kind.dtype
    if tensor.datatype.startswith("FP"):
        low, high = bounds if bounds is not None else (0.0, 1.0)
        return np.asarray(low + (high - low) * generator.random(shape, dtype=np.float32), dtype)
    if tensor.datatype == "BOOL":
        return np.asarray(generator.integers(0, 2, shape), dtype)
    low, high = bounds if bounds is not None else (0, _MOST_RANDOM_INTEGER)
    limits = np.iinfo(dtype.name)
    if not limits.min <= low <= high <= limits.max or low != int(low) or high != int(high):
        raise ModelError(
            f"`ranges` {tensor.name}={low:g}:{high:g}: {tensor.datatype} takes {limits.min} to {limits.max}"
        )
    return np.asarray(generator.integers(int(low), int(high), shape, dtype=dtype, endpoint=True))
