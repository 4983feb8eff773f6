"""The arrays of requests, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.models.repository import Model

Arrays = Mapping[str, NDArray[np.generic]]


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
