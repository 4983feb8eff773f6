"""What is sent: real inputs that came with a model, or seeded random ones that fit its signature."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.models.repository import Model, Tensor
from edgesim.options import InputOptions

Arrays = Mapping[str, NDArray[np.generic]]

RANDOM_REQUESTS = 8
_DTYPES: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


@dataclass(frozen=True)
class Inputs:
    """Inputs to send in turn, over and over.

    Attributes:
        requests: one mapping of arrays for each request.
        origin: in a few words where they come from, for the result.
        labelled: all real inputs as one batch, and the class of each; None without labels.
    """

    requests: tuple[Arrays, ...]
    origin: str
    labelled: tuple[Arrays, NDArray[np.int64]] | None = None


def choose(model: Model, options: InputOptions) -> Inputs:
    """The real inputs that are asked for, else those that `model` came with, else seeded random ones.

    Raises:
        ModelError: a shape or a range is of no input or does not fit, or a file of inputs does not.
    """
    if options.input is not None:
        if options.shapes or options.ranges:
            raise ModelError(
                "--input: real inputs have their own shapes and values", fix="leave --shape and --range out"
            )
        return _directory(model, options.input) if options.input.is_dir() else _file(model, options.input)
    if model.samples_path is not None and not options.shapes and not options.ranges:
        return _file(model, model.samples_path)
    return _random(model, options)


def _file(model: Model, path: Path) -> Inputs:
    arrays = _load(path)
    labels = arrays.pop("labels", None)
    _check_names(model, path, arrays)
    count = min(len(values) if values.ndim else 0 for values in arrays.values())
    if count == 0:
        raise ModelError(f"{path}: holds no samples")
    requests = tuple({name: values[i : i + 1] for name, values in arrays.items()} for i in range(count))
    _check_fit(model, path, requests[0])
    labelled = (arrays, labels.astype(np.int64)) if labels is not None and len(labels) == count else None
    return Inputs(requests, f"{count} real ones from {path.name}", labelled)


def _directory(model: Model, directory: Path) -> Inputs:
    files = sorted(path for path in directory.iterdir() if path.suffix in (".npz", ".npy"))
    if not files:
        raise ModelError(f"{directory}: no .npz or .npy file in it")
    requests = []
    for path in files:
        arrays = _load(path)
        if path.suffix == ".npy" and len(model.inputs) == 1:
            arrays = {model.inputs[0].name: arrays["array"]}
        arrays.pop("labels", None)
        _check_names(model, path, arrays)
        _check_fit(model, path, arrays)
        requests.append(arrays)
    return Inputs(tuple(requests), f"{len(requests)} real ones from {directory.name}/")


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {name: loaded[name] for name in loaded.files} if path.suffix != ".npy" else {"array": loaded}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{path}: not a file of samples: {error}", fix="numpy.savez makes one, with an array for each input"
        ) from error


def _check_names(model: Model, path: Path, arrays: Arrays) -> None:
    wanted = {tensor.name for tensor in model.inputs}
    if set(arrays) != wanted:
        raise ModelError(f"{path}: holds {', '.join(sorted(arrays))}; the model takes {', '.join(sorted(wanted))}")


def _check_fit(model: Model, path: Path, request: Arrays) -> None:
    """Shape and type of the first request, before a device is started for them."""
    for tensor in model.inputs:
        values = request[tensor.name]
        fits = len(values.shape) == len(tensor.shape) and all(
            wanted in (-1, size) for size, wanted in zip(values.shape, tensor.shape, strict=True)
        )
        dtype = _DTYPES.get(tensor.datatype)
        if not fits or (dtype is not None and values.dtype != dtype):
            raise ModelError(
                f"{path}: {tensor.name} is {values.dtype} {list(values.shape)} a request; the model takes {tensor}"
            )


def _random(model: Model, options: InputOptions) -> Inputs:
    names = {tensor.name for tensor in model.inputs}
    for option, given in (("--shape", options.shapes), ("--range", options.ranges)):
        if unknown := sorted(set(given) - names):
            raise ModelError(
                f"{option} {unknown[0]}: model {model.name} takes {', '.join(str(t) for t in model.inputs)}"
            )
    generator = np.random.default_rng(options.seed)
    resolved = {tensor.name: _shape(model, tensor, options.shapes.get(tensor.name)) for tensor in model.inputs}
    requests = tuple(
        {
            tensor.name: random_array(generator, tensor, resolved[tensor.name], options.ranges.get(tensor.name))
            for tensor in model.inputs
        }
        for _ in range(RANDOM_REQUESTS)
    )
    return Inputs(requests, f"random, seed {options.seed}")


def _shape(model: Model, tensor: Tensor, given: tuple[int, ...] | None) -> tuple[int, ...]:
    if given is not None:
        fits = len(given) == len(tensor.shape) and all(w in (-1, n) for n, w in zip(given, tensor.shape, strict=True))
        if not fits:
            raise ModelError(f"--shape {tensor.name}={','.join(map(str, given))}: model {model.name} takes {tensor}")
        return given
    if -1 in tensor.shape[1:]:
        raise ModelError(
            f"model {model.name}: {tensor} has sizes that are only known at run time",
            fix=f"--shape {tensor.name}={','.join('1' if n < 0 else str(n) for n in tensor.shape)}, with your sizes",
        )
    return tuple(1 if n < 0 else n for n in tensor.shape)


def random_array(
    generator: np.random.Generator, tensor: Tensor, shape: tuple[int, ...], bounds: tuple[float, float] | None = None
) -> NDArray[np.generic]:
    """Random values that fit a tensor, from the first of `bounds` to the second.

    Without bounds: floats in [0, 1), integers below 100, coins, digits as text.

    Raises:
        ModelError: the type has no random values, or the bounds are none of its.
    """
    if tensor.datatype == "BYTES":
        if bounds is not None:
            raise ModelError(f"--range {tensor.name}: a text has no range")
        return generator.integers(0, 10, shape).astype(str).astype(np.object_)
    if tensor.datatype not in _DTYPES:
        raise ModelError(f"{tensor}: no random input can be made of this type", fix="give real ones: --input FILE.npz")
    dtype = _DTYPES[tensor.datatype]
    if tensor.datatype.startswith("FP"):
        low, high = bounds if bounds is not None else (0.0, 1.0)
        return (low + (high - low) * generator.random(shape, dtype=np.float32)).astype(dtype)
    if tensor.datatype == "BOOL":
        return generator.integers(0, 2, shape).astype(dtype)
    low, high = bounds if bounds is not None else (0, 99)
    limits = np.iinfo(np.dtype(dtype).name)
    if not limits.min <= low <= high <= limits.max or low != int(low) or high != int(high):
        raise ModelError(
            f"--range {tensor.name}={low:g}:{high:g}: {tensor.datatype} takes {limits.min} to {limits.max}"
        )
    return generator.integers(int(low), int(high), shape, dtype=dtype, endpoint=True)
