"""The arrays of requests, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

if TYPE_CHECKING:
    from edgesim.inputs.sequences import RequestSequence

Arrays = Mapping[str, NDArray[np.generic]]


class Labelled(NamedTuple):
    """A request whose answer is known: the class of each of its samples."""

    arrays: Arrays
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """Inputs that the load generator sends in turn, over and over.

    Attributes:
        requests: for each request, arrays by input name.
        origin: where the inputs come from, in a few words for the result.
        labelled: all real inputs in as few requests as the model takes, with the class of each; empty without labels.
        is_random: whether the inputs are drawn at random, and may not fit what the model takes.
        sequence: the requests as a sequence, each made of the answer before; None if each stands for itself. The
            requests have the first value of the state then.
    """

    requests: tuple[Arrays, ...]
    origin: str
    labelled: tuple[Labelled, ...] = ()
    is_random: bool = False
    sequence: "RequestSequence | None" = None


def batch_axis(model: Model, tensor: Tensor) -> int:
    """Return the axis of an input along which samples lie: that of the batch by its name, else the first."""
    if tensor.shape[:1] == (-1,) or not tensor.dims:
        return 0
    batches = {other.dims[0] for other in model.inputs if other.shape[:1] == (-1,) and other.dims} - {""}
    return next((axis for axis, name in enumerate(tensor.dims) if name in batches), 0)


def samples_in(model: Model, request: Arrays) -> int:
    """Return how many samples a request has: the first size of its inputs where the model leaves it open, else 1."""
    sizes = {request[tensor.name].shape[0] if tensor.shape[:1] == (-1,) else 1 for tensor in model.inputs}
    sizes.discard(1)
    return sizes.pop() if len(sizes) == 1 else 1
