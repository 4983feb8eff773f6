"""The difference of two sets of outputs: how large it is, where it is largest, and whether a tolerance allows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Tolerance:
    """|actual - expected| may be `absolute` + `relative` times |expected|."""

    relative: float
    absolute: float


# Sums in another order differ in the last digits: by about 1e-6 of the largest term for each sum in single precision,
# which grows over a few hundred layers. Half precision has three digits to begin with. Integers are equal or wrong.
TOLERANCES: Mapping[str, Tolerance] = {
    "float64": Tolerance(1e-6, 1e-8),
    "float32": Tolerance(1e-3, 1e-4),
    "float16": Tolerance(2e-2, 2e-3),
}
EXACT = Tolerance(0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of one output over all requests.

    Attributes:
        output: name of the output.
        max_absolute: the largest absolute difference; infinite if one side is not a number.
        max_relative: the largest difference relative to the expected value, where that is not 0.
        cosine: the smallest cosine similarity of all requests.
        top_1: share of rows whose largest value is at the same index; None if the output has no class scores.
        worst: where the difference is largest: the request, then the index in its array.
        actual, expected: the values there.
        within: whether the tolerance allows the difference.
    """

    output: str
    max_absolute: float
    max_relative: float
    cosine: float
    top_1: float | None
    worst: tuple[int, ...]
    actual: float
    expected: float
    within: bool


def compare(
    actual: Sequence[Outputs], expected: Sequence[Outputs], tolerance: Tolerance | None = None
) -> list[Difference]:
    """Compare each output of `expected` with the same output of `actual`, request by request.

    Args:
        tolerance: for all outputs; None means one for each type, see `TOLERANCES`.

    Raises:
        ValueError: an output is missing, or has another shape.
    """
    return [
        _compare_output(name, [row.get(name) for row in actual], [row[name] for row in expected], tolerance)
        for name in expected[0]
    ]


def _compare_output(
    name: str, actual: Sequence[NDArray[Any] | None], expected: Sequence[NDArray[Any]], tolerance: Tolerance | None
) -> Difference:
    differences = []
    for request, (array, reference) in enumerate(zip(actual, expected, strict=True)):
        if array is None:
            raise ValueError(f"output {name} is missing")
        if array.shape != reference.shape:
            raise ValueError(f"output {name} has the shape {list(array.shape)}, not {list(reference.shape)}")
        allowed = tolerance if tolerance is not None else TOLERANCES.get(str(reference.dtype), EXACT)
        exact = reference.dtype == np.object_ or reference.dtype == np.bool_ or not reference.size
        differences.append(
            _compare_exactly(name, request, array, reference)
            if exact
            else _compare_numbers(name, request, array, reference, allowed)
        )
    worst = max(differences, key=lambda difference: difference.max_absolute)
    shares = [difference.top_1 for difference in differences if difference.top_1 is not None]
    return Difference(
        output=name,
        max_absolute=worst.max_absolute,
        max_relative=max(difference.max_relative for difference in differences),
        cosine=min(difference.cosine for difference in differences),
        top_1=float(np.mean(shares)) if shares else None,
        worst=worst.worst,
        actual=worst.actual,
        expected=worst.expected,
        within=all(difference.within for difference in differences),
    )


def _compare_exactly(name: str, request: int, actual: NDArray[Any], expected: NDArray[Any]) -> Difference:
    """Compare texts, booleans or empty arrays: equal, or different by 1."""
    unequal = np.atleast_1d(actual != expected)
    flat = int(np.argmax(unequal)) if unequal.any() else 0
    index = np.unravel_index(flat, unequal.shape) if unequal.size else ()
    difference = float(unequal.any())
    return Difference(
        output=name,
        max_absolute=difference,
        max_relative=difference,
        cosine=1 - difference,
        top_1=None,
        worst=(request, *map(int, index)),
        actual=difference,
        expected=0.0,
        within=not difference,
    )


def _compare_numbers(
    name: str, request: int, actual: NDArray[Any], expected: NDArray[Any], allowed: Tolerance
) -> Difference:
    a, b = np.atleast_1d(actual).astype(np.float64), np.atleast_1d(expected).astype(np.float64)
    # A NaN on either side is infinitely far from anything; the same infinity on both sides is the same value.
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.where(a == b, 0.0, np.abs(a - b))
        distance = np.where(np.isnan(distance), np.inf, distance)
        relative = np.where((b != 0) & (distance > 0), distance / np.abs(b), 0.0)
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
        cosine = float(np.vdot(a, b) / norm) if norm and np.isfinite(norm) else float(np.array_equal(a, b))
    index = np.unravel_index(int(np.argmax(distance)), distance.shape)
    class_scores = expected.ndim == 2 and expected.shape[1] > 1
    return Difference(
        output=name,
        max_absolute=float(distance.max()),
        max_relative=float(relative.max()),
        cosine=cosine,
        top_1=float((actual.argmax(axis=1) == expected.argmax(axis=1)).mean()) if class_scores else None,
        worst=(request, *map(int, index)),
        actual=float(a[index]),
        expected=float(b[index]),
        within=bool((np.isfinite(distance) & (distance <= allowed.absolute + allowed.relative * np.abs(b))).all()),
    )
