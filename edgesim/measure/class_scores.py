"""Which output of a classifier has a score for each class: read from the values of the reference."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.models.tensor_types import is_float

# Words in the names of outputs that have scores, and of outputs of the same shape that have none.
_SCORES = re.compile(r"prob|logit|score|softmax|class|pred", re.IGNORECASE)
_OTHERS = re.compile(
    r"box|coord|embed|feature|hidden|state|pool|keypoint|landmark|mask|cache|past|present", re.IGNORECASE
)


def class_scores(outputs: Mapping[str, NDArray[Any]], *, samples: int, labelled: bool = False) -> str | None:
    """Return the name of the output with class scores, shape (rows, classes); None if none looks like one.

    Rows that add up to 1 are probabilities; a name such as ``logits`` says it; and where the model has one output of
    floats, with one row for each sample, that row is taken for scores. Boxes, embeddings and states, by their names or
    as vectors of length 1, are none.

    Args:
        samples: number of samples in the request.
        labelled: whether the samples have labels, which says that the model is a classifier.
    """
    tables = {name: values for name, values in outputs.items() if _is_table(values) and not _OTHERS.search(name)}
    candidates = [name for name, values in tables.items() if _are_probabilities(values)]
    candidates += [name for name in tables if _SCORES.search(name)]
    only_floats = sum(is_float(values.dtype) for values in outputs.values()) == 1
    candidates += [
        name
        for name, values in tables.items()
        if len(values) == samples and (labelled or (only_floats and not _are_unit_vectors(values)))
    ]
    return candidates[0] if candidates else None


def _is_table(values: NDArray[Any]) -> bool:
    return values.ndim == 2 and values.shape[0] > 0 and values.shape[1] > 1 and is_float(values.dtype)


def _are_probabilities(values: NDArray[Any]) -> bool:
    numbers = values.astype(np.float64)
    return bool((numbers >= 0).all() and np.allclose(numbers.sum(axis=1), 1, atol=1e-2))


def _are_unit_vectors(values: NDArray[Any]) -> bool:
    numbers = values.astype(np.float64)
    return bool((numbers < 0).any() and np.allclose(np.linalg.norm(numbers, axis=1), 1, atol=1e-3))
