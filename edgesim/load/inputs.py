"""What is sent: real inputs that came with a model, or seeded random ones that fit its signature."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.model import Model, Tensor

Arrays = Mapping[str, NDArray[np.generic]]

RANDOM_REQUESTS = 8
_DTYPES: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip


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


def choose(model: Model, *, seed: int, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Inputs:
    """The real inputs of `model` where it came with some, else seeded random ones.

    Args:
        shapes: the sizes of inputs whose dimensions are only known at run time; a leading one is 1 without.

    Raises:
        ModelError: a shape is unknown or does not fit, or the file of samples does not.
    """
    if model.samples_path is not None and not shapes:
        return _real(model)
    return _random(model, seed, shapes or {})


def _real(model: Model) -> Inputs:
    path = model.samples_path
    assert path is not None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not a file of samples: {error}", fix="numpy.savez makes one, with an array for each input"
        ) from error
    labels = arrays.pop("labels", None)
    wanted = {tensor.name for tensor in model.inputs}
    if set(arrays) != wanted:
        raise ModelError(f"{path}: holds {', '.join(sorted(arrays))}; the model takes {', '.join(sorted(wanted))}")
    count = min(len(values) for values in arrays.values())
    if count == 0:
        raise ModelError(f"{path}: holds no samples")
    requests = tuple({name: values[i : i + 1] for name, values in arrays.items()} for i in range(count))
    labelled = (arrays, labels.astype(np.int64)) if labels is not None and len(labels) == count else None
    return Inputs(requests, f"{count} real ones from {path.name}", labelled)


def _random(model: Model, seed: int, shapes: Mapping[str, tuple[int, ...]]) -> Inputs:
    unknown = sorted(set(shapes) - {tensor.name for tensor in model.inputs})
    if unknown:
        raise ModelError(f"--shape {unknown[0]}: model {model.name} takes {', '.join(str(t) for t in model.inputs)}")
    generator = np.random.default_rng(seed)
    resolved = {tensor.name: _shape(model, tensor, shapes.get(tensor.name)) for tensor in model.inputs}
    requests = tuple(
        {tensor.name: random_array(generator, tensor, resolved[tensor.name]) for tensor in model.inputs}
        for _ in range(RANDOM_REQUESTS)
    )
    return Inputs(requests, f"random, seed {seed}")


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


def random_array(generator: np.random.Generator, tensor: Tensor, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Random values that fit a tensor: floats in [0, 1), small integers, coins, digits as text."""
    if tensor.datatype == "BYTES":
        return generator.integers(0, 10, shape).astype(str).astype(np.object_)
    if tensor.datatype not in _DTYPES:
        raise ModelError(
            f"{tensor}: no random input can be made of this type", fix="put a samples.npz beside the model's versions"
        )
    dtype = _DTYPES[tensor.datatype]
    if tensor.datatype == "BOOL":
        return generator.integers(0, 2, shape).astype(dtype)
    if tensor.datatype.startswith("FP"):
        return generator.random(shape, dtype=np.float32).astype(dtype)
    return generator.integers(0, 100, shape).astype(dtype)
