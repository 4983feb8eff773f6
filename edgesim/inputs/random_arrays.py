"""Random arrays that fit a tensor."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs import array_files
from edgesim.models import tensor_types
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor
from edgesim.units import format_bytes

MOST_INTEGER = 99


def require_memory(model: Model, requests: Sequence[Mapping[str, tuple[int, ...]]]) -> None:
    """Refuse inputs that this host has not the memory for, before they are made.

    Args:
        requests: sizes by input name, for each request.

    Raises:
        ModelError: names the sizes.
    """
    needed, largest = sum(map(_bytes, requests)), max(requests, key=_bytes)
    if needed > array_files.most_bytes():
        sizes = ", ".join(f"{name} {list(shape)}" for name, shape in largest.items())
        raise ModelError(
            f"model {model.name}: inputs of {sizes} for {len(requests)} requests take {format_bytes(needed)}, more"
            " than this host has for them",
            fix="give real inputs: `input=FILE.npz`",
        )


def _bytes(shapes: Mapping[str, tuple[int, ...]]) -> int:
    # At least four bytes of each element while random values are made; numpy counts a size of 0 as 1 here, too.
    return sum(4 * math.prod(max(size, 1) for size in shape) for shape in shapes.values())


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
            raise ModelError(
                f"{tensor.name} is text, which has no range",
                fix="give its texts: value or lines in a file, `inputs_file`",
            )
        return np.asarray(generator.integers(0, 10, shape)).astype(str).astype(np.object_)
    kind = tensor_types.BY_DATATYPE.get(tensor.datatype)
    if kind is None:
        raise ModelError(f"{tensor}: there are no random inputs of this type", fix="give real inputs: `input=FILE.npz`")
    dtype = kind.dtype
    if tensor.datatype.startswith(("FP", "BF")):
        low, high = bounds if bounds is not None else (0.0, 1.0)
        return np.asarray(low + (high - low) * generator.random(shape, dtype=np.float32), dtype)
    if tensor.datatype == "BOOL":
        return np.asarray(generator.integers(0, 2, shape), dtype)
    low, high = bounds if bounds is not None else (0, MOST_INTEGER)
    limits = np.iinfo(dtype.name)
    if not limits.min <= low <= high <= limits.max or low != int(low) or high != int(high):
        raise ModelError(
            f"`ranges` {tensor.name}={low:g}:{high:g}: {tensor.datatype} takes {limits.min} to {limits.max}"
        )
    return np.asarray(generator.integers(int(low), int(high), shape, dtype=dtype, endpoint=True))
