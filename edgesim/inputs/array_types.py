"""Arrays of files as arrays of a tensor's type."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs.array_files import NAMELESS_BF16
from edgesim.models import tensor_types
from edgesim.models.signature import Tensor

# BF16 as numpy writes it to a file, and as its bits.
_BF16_BITS = (NAMELESS_BF16, np.dtype(np.uint16))
_TEXT = "US"  # numpy's kinds of text and of bytes


def as_type_of(tensor: Tensor, values: NDArray[Any], origin: str) -> NDArray[Any]:
    """Return an array in the form in which requests carry a tensor's type: texts as objects.

    Args:
        origin: the file and the array, for the error.

    Raises:
        ModelError: the array is of another type.
    """
    kind = tensor_types.BY_DATATYPE.get(tensor.datatype)
    if tensor.datatype == "BYTES" and values.dtype.kind in _TEXT:
        return _texts(values, origin)
    if tensor.datatype == "BF16" and kind is not None and values.dtype in _BF16_BITS:
        return values.view(kind.dtype)
    if kind is None or (kind.is_numeric and values.dtype == kind.dtype):
        return values
    raise ModelError(
        f"{origin} is {values.dtype} {list(values.shape)}; the model takes {tensor}",
        fix=f"save the array as that type: array.astype(numpy.{kind.dtype})" if kind.is_numeric else "save texts",
    )


def _texts(values: NDArray[Any], origin: str) -> NDArray[Any]:
    texts = np.empty(values.shape, np.object_)
    for place in np.ndindex(values.shape):
        element = values[place]
        try:
            texts[place] = element.decode() if isinstance(element, bytes) else str(element)
        except UnicodeDecodeError:
            raise ModelError(f"{origin} has a text that is not UTF-8") from None
    return texts
