"""Inference requests and responses as values, the same for every transport and every form on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .tensor_types import Signature


class BadRequest(ValueError):
    """A request that the client has to mend; the message names the tensor, the value received and what is expected."""


class RequestedOutput(NamedTuple):
    """An output that a request asks for.

    Attributes:
        binary: as binary data, else as JSON.
        classes: more than 0 asks for that many best classes in place of the values.
    """

    name: str
    binary: bool = False
    classes: int = 0


class InferRequest(NamedTuple):
    """A decoded request. The arrays of `inputs` may be views of the request's body."""

    id: str | None
    inputs: dict[str, np.ndarray]
    outputs: tuple[RequestedOutput, ...]


class InferResponse(NamedTuple):
    """The answer to an `InferRequest`, before it is encoded.

    Attributes:
        id: the request's.
        outputs: the request's.
        results: one array for each of `outputs`, in order.
        signatures: the model's outputs by name.
        labels: names of classes, by output.
    """

    model_name: str
    model_version: str
    id: str | None
    outputs: tuple[RequestedOutput, ...]
    results: Sequence[np.ndarray]
    signatures: Mapping[str, Signature]
    labels: Mapping[str, Sequence[str]]
