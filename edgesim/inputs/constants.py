"""Values that a user writes down: numbers, texts, true and false, and lists of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim import yaml_files
from edgesim.errors import ModelError
from edgesim.models import tensor_types
from edgesim.models.signature import Tensor


def constant(tensor: Tensor, value: Any) -> NDArray[np.generic]:
    """Return a value, or nested lists of values, as an array of a tensor's type: shape () for a single value.

    Raises:
        ModelError: the value is of another type, or outside the range of the type; the error names the input.
    """
    kind = tensor_types.BY_DATATYPE[tensor.datatype]
    if tensor.datatype == "BYTES":
        return _texts(tensor, value)
    try:
        written = np.asarray(value)
    except ValueError:  # lists of different lengths
        raise _error(tensor, value, "lists have different lengths") from None
    if written.dtype.kind not in "biuf" and written.size:
        raise _error(tensor, value, f"{tensor.datatype} takes numbers")
    if tensor.datatype.startswith(("FP", "BF")):
        with np.errstate(over="ignore"):
            return np.asarray(written, kind.dtype)
    limits = (0, 1) if tensor.datatype == "BOOL" else (np.iinfo(kind.dtype).min, np.iinfo(kind.dtype).max)
    if written.dtype.kind == "f" and not np.all(written == np.trunc(written)):
        raise _error(tensor, value, f"{tensor.datatype} takes whole numbers")
    if written.size and not limits[0] <= written.min() <= written.max() <= limits[1]:
        raise _error(tensor, value, f"{tensor.datatype} takes {limits[0]} to {limits[1]}")
    return np.asarray(written, kind.dtype)


def _texts(tensor: Tensor, value: Any) -> NDArray[np.generic]:
    try:
        written = np.array(value, dtype=np.object_)
    except ValueError:
        raise _error(tensor, value, "lists have different lengths") from None
    if any(isinstance(element, list) for element in written.reshape(-1)):
        raise _error(tensor, value, "lists have different lengths")
    texts = np.empty(written.shape, np.object_)
    for place in np.ndindex(written.shape):
        element = written[place]
        if not isinstance(element, str | int | float):
            raise _error(tensor, value, "an element is no text")
        texts[place] = str(element)
    return texts


def _error(tensor: Tensor, value: Any, problem: str) -> ModelError:
    return ModelError(f"inputs.{tensor.name}: {yaml_files.shown(value)}: {problem}; the model takes {tensor}")


def with_rank_of(tensor: Tensor, values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an array with the axes that a tensor has before it, of size 1, where the tensor may have that size there.

    A row of numbers is so a batch of one row, and a word a batch of one word.
    """
    missing = len(tensor.shape) - values.ndim
    if tensor.any_rank or missing <= 0 or any(size not in (-1, 1) for size in tensor.shape[:missing]):
        return values
    return values.reshape((1,) * missing + values.shape)
