"""The difference of two sets of outputs: how large it is, where it is largest, and whether a tolerance allows it.

Each output is compared by itself and by its own kind. Outputs of different shapes are never spread over each other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.measure.class_scores import class_scores
from edgesim.measure.tolerance import Tolerance, tolerance_of

Outputs = Mapping[str, NDArray[Any]]


def joined(answers: Sequence[Outputs]) -> Outputs:
    """Return the outputs of several requests as those of one: their rows one after the other.

    Outputs whose rows differ in their sizes, and scalars, lose their shape: all values are in one row.
    """
    if len(answers) == 1:
        return answers[0]
    together = {}
    for name in answers[0]:
        parts = [np.asarray(answer[name]) for answer in answers if name in answer]
        have_rows = parts[0].ndim > 0 and all(part.shape[1:] == parts[0].shape[1:] for part in parts)
        together[name] = np.concatenate(parts if have_rows else [part.reshape(-1) for part in parts])
    return together


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of one output over all requests.

    Attributes:
        output: name of the output.
        problem: why the values cannot be compared, such as another shape; empty if they were compared.
        values: number of values that were compared.
        not_finite: number of values that are the same NaN or infinity on both sides, which counts as equal.
        not_a_number: how many of these are NaN.
        max_absolute: the largest absolute difference; infinite if only one side is NaN or infinite, or with a problem.
        max_relative: the largest difference relative to the expected value, where that is not 0.
        cosine: the smallest cosine similarity of all requests.
        top_1: share of rows whose largest value is at the same index; None if the output has no class scores.
        worst: where the difference is largest: the request, then the index in its array.
        actual, expected: the values there.
        allowed: the tolerance.
        within: whether the tolerance allows the difference.
    """

    output: str
    problem: str = ""
    values: int = 0
    not_finite: int = 0
    not_a_number: int = 0
    max_absolute: float = math.inf
    max_relative: float = math.inf
    cosine: float = 0.0
    top_1: float | None = None
    worst: tuple[int, ...] = ()
    actual: float = math.nan
    expected: float = math.nan
    allowed: Tolerance
    within: bool = False

    @property
    def shows_nothing(self) -> bool:
        """Whether all values are NaN on both sides, so that the comparison shows nothing."""
        return self.values > 0 and self.not_a_number == self.values

    def notes(self) -> list[str]:
        """Return what the figures do not say, in words: nothing to compare, or values that are not finite."""
        if self.problem:
            return [self.problem]
        if not self.values:
            return ["nothing on both sides"]
        if self.shows_nothing:
            return ["NaN in all values on both sides"]
        infinite = self.not_finite - self.not_a_number
        words = [f"NaN on both sides in {self.not_a_number} of {self.values} values"] if self.not_a_number else []
        return words + ([f"infinite on both sides in {infinite} of {self.values} values"] if infinite else [])


def compare(
    actual: Sequence[Outputs],
    expected: Sequence[Outputs],
    tolerances: Tolerance | Mapping[str, Tolerance] | None = None,
    *,
    samples: Sequence[int] | None = None,
) -> list[Difference]:
    """Compare each output of `expected` with the same output of `actual`, request by request.

    Args:
        tolerances: one for all outputs, or by output name; an output without one has that of its type, see
            `edgesim.measure.tolerance`.
        samples: number of samples in each request, which tells rows of class scores from other rows; None means 1.
    """
    counts = samples if samples is not None else [1] * len(expected)
    return [
        _combined(
            [
                _compare(name, request, outputs.get(name), right[name], allowed(name, right[name], tolerances))
                for request, (outputs, right) in enumerate(zip(actual, expected, strict=True))
            ],
            _top_1(name, actual, expected, counts),
        )
        for name in expected[0]
    ]


def allowed(name: str, array: NDArray[Any], tolerances: Tolerance | Mapping[str, Tolerance] | None) -> Tolerance:
    """Return the tolerance of an output: the one for all, the one by its name, or that of its type."""
    if isinstance(tolerances, Tolerance):
        return tolerances
    return (tolerances or {}).get(name) or tolerance_of(array.dtype)


def worst(differences: Sequence[Difference]) -> Difference:
    """Return the difference that is largest, one that its tolerance does not allow before all others."""
    return max(differences, key=lambda difference: (not difference.within, difference.max_absolute))


def _combined(differences: Sequence[Difference], top_1: float | None) -> Difference:
    """Return the difference over all requests; the worst request stands for all."""
    largest = worst(differences)
    return Difference(
        output=largest.output,
        problem=largest.problem,
        values=sum(difference.values for difference in differences),
        not_finite=sum(difference.not_finite for difference in differences),
        not_a_number=sum(difference.not_a_number for difference in differences),
        max_absolute=largest.max_absolute,
        max_relative=max(difference.max_relative for difference in differences),
        cosine=min(difference.cosine for difference in differences),
        top_1=top_1,
        worst=largest.worst,
        actual=largest.actual,
        expected=largest.expected,
        allowed=largest.allowed,
        within=all(difference.within for difference in differences),
    )


def _top_1(name: str, actual: Sequence[Outputs], expected: Sequence[Outputs], samples: Sequence[int]) -> float | None:
    """Return the share of rows with the same largest value; None if `name` has no class scores in every request."""
    same: list[NDArray[np.bool_]] = []
    for outputs, right, count in zip(actual, expected, samples, strict=True):
        if class_scores(right, samples=count) != name or name not in outputs:
            return None
        if outputs[name].shape != right[name].shape:
            return None
        same.append(outputs[name].argmax(axis=1) == right[name].argmax(axis=1))
    return float(np.concatenate(same).mean()) if same else None


def _compare(
    name: str, request: int, actual: NDArray[Any] | None, expected: NDArray[Any], allowed: Tolerance
) -> Difference:
    if actual is None:
        return Difference(output=name, problem="is missing", worst=(request,), allowed=allowed)
    if actual.shape != expected.shape:
        shapes = f"{list(actual.shape)} for {list(expected.shape)}"
        return Difference(output=name, problem=f"has another shape: {shapes}", worst=(request,), allowed=allowed)
    if expected.dtype == np.object_ or not expected.size:
        return _compare_exactly(name, request, actual, expected, allowed)
    return _compare_numbers(name, request, actual, expected, allowed)


def _compare_exactly(
    name: str, request: int, actual: NDArray[Any], expected: NDArray[Any], allowed: Tolerance
) -> Difference:
    """Compare texts or empty arrays: equal or not."""
    places = np.argwhere(np.atleast_1d(actual != expected))
    if not len(places):
        return Difference(
            output=name,
            values=expected.size,
            max_absolute=0.0,
            max_relative=0.0,
            cosine=1.0,
            worst=(request,),
            allowed=allowed,
            within=True,
        )
    index = tuple(map(int, places[0]))
    texts = f"{np.atleast_1d(actual)[index]!r} for {np.atleast_1d(expected)[index]!r}"
    return Difference(
        output=name,
        problem=f"has another text at [{', '.join(map(str, index))}]: {texts}",
        values=expected.size,
        worst=(request, *index),
        allowed=allowed,
    )


def _compare_numbers(
    name: str, request: int, actual: NDArray[Any], expected: NDArray[Any], allowed: Tolerance
) -> Difference:
    a, b = np.atleast_1d(actual).astype(np.float64), np.atleast_1d(expected).astype(np.float64)
    nan = np.isnan(a) & np.isnan(b)
    same = (a == b) | nan  # the same infinity, or NaN on both sides
    finite = np.isfinite(a) & np.isfinite(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.where(same, 0.0, np.where(finite, np.abs(a - b), np.inf))
        relative = np.where((b != 0) & (distance > 0), distance / np.abs(b), 0.0)
        x, y = a[finite], b[finite]
        norm = float(np.linalg.norm(x) * np.linalg.norm(y))
        cosine = float(np.vdot(x, y) / norm) if norm and np.isfinite(norm) else float(np.array_equal(x, y))
    index = np.unravel_index(int(np.argmax(distance)), distance.shape)
    bound = allowed.bound(b)
    return Difference(
        output=name,
        values=expected.size,
        not_finite=int((same & ~finite).sum()),
        not_a_number=int(nan.sum()),
        max_absolute=float(distance.max()),
        max_relative=float(np.nan_to_num(relative, nan=np.inf).max()),
        cosine=cosine,
        worst=(request, *map(int, index)),
        actual=float(a[index]),
        expected=float(b[index]),
        allowed=allowed,
        within=bool((same | (finite & (distance <= bound))).all()),
    )
