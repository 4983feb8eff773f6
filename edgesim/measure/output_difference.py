"""Two sets of outputs side by side: how far apart, where most, and whether that is within a tolerance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Tolerance:
    """|ours - theirs| may be `absolute` + `relative` times |theirs|."""

    relative: float
    absolute: float


# Sums in another order differ in the last digits: about 1e-6 of the largest term for each in single precision, which a
# few hundred layers let grow; half precision has three digits to begin with. Whole numbers are the same or wrong.
TOLERANCES: Mapping[str, Tolerance] = {
    "float64": Tolerance(1e-6, 1e-8),
    "float32": Tolerance(1e-3, 1e-4),
    "float16": Tolerance(2e-2, 2e-3),
}
EXACT = Tolerance(0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One output over all requests: `worst` is the request and the index in it where it is farthest off.

    `max_relative` leaves out where the other side is 0. `cosine` is the least over the requests, `top_1` the share of
    rows whose largest value is at the same place (None for what has no classes). `within` is the verdict.
    """

    output: str
    max_absolute: float
    max_relative: float
    cosine: float
    top_1: float | None
    worst: tuple[int, ...]
    ours: float
    theirs: float
    within: bool


def compare(ours: Sequence[Arrays], theirs: Sequence[Arrays], tolerance: Tolerance | None = None) -> list[Difference]:
    """Each output of `theirs` beside that of `ours`, request by request.

    Args:
        tolerance: for all outputs; by their types without, see `TOLERANCES`.

    Raises:
        ValueError: an output is missing, or has another shape.
    """
    return [
        _compare(name, [row.get(name) for row in ours], [row[name] for row in theirs], tolerance) for name in theirs[0]
    ]


def _compare(
    name: str, ours: Sequence[NDArray[Any] | None], theirs: Sequence[NDArray[Any]], tolerance: Tolerance | None
) -> Difference:
    differences = []
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if mine is None:
            raise ValueError(f"output {name} is missing")
        if mine.shape != other.shape:
            raise ValueError(f"output {name} has the shape {list(mine.shape)}, not {list(other.shape)}")
        allowed = tolerance if tolerance is not None else TOLERANCES.get(str(other.dtype), EXACT)
        differences.append(_one(name, i, mine, other, allowed))
    worst = max(differences, key=lambda difference: difference.max_absolute)
    shares = [difference.top_1 for difference in differences if difference.top_1 is not None]
    return Difference(
        output=name,
        max_absolute=worst.max_absolute,
        max_relative=max(difference.max_relative for difference in differences),
        cosine=min(difference.cosine for difference in differences),
        top_1=float(np.mean(shares)) if shares else None,
        worst=worst.worst,
        ours=worst.ours,
        theirs=worst.theirs,
        within=all(difference.within for difference in differences),
    )


def _one(name: str, request: int, mine: NDArray[Any], other: NDArray[Any], allowed: Tolerance) -> Difference:
    if other.dtype == np.object_ or other.dtype == np.bool_ or not other.size:
        unequal = np.atleast_1d(mine != other)
        where = int(np.argmax(unequal)) if unequal.any() else 0
        index = np.unravel_index(where, unequal.shape) if unequal.size else ()
        off = float(unequal.any())
        place = (request, *map(int, index))
        return Difference(
            output=name,
            max_absolute=off,
            max_relative=off,
            cosine=1 - off,
            top_1=None,
            worst=place,
            ours=off,
            theirs=0.0,
            within=not off,
        )
    a, b = np.atleast_1d(mine).astype(np.float64), np.atleast_1d(other).astype(np.float64)
    # Neither side's NaN is near anything; both sides' infinity at the same place is the same answer.
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.where(a == b, 0.0, np.abs(a - b))
        distance = np.where(np.isnan(distance), np.inf, distance)
        relative = np.where((b != 0) & (distance > 0), distance / np.abs(b), 0.0)
        norm = float(np.linalg.norm(a) * np.linalg.norm(b))
        cosine = float(np.vdot(a, b) / norm) if norm and np.isfinite(norm) else float(np.array_equal(a, b))
    index = np.unravel_index(int(np.argmax(distance)), distance.shape)
    classes = other.ndim == 2 and other.shape[1] > 1
    return Difference(
        output=name,
        max_absolute=float(distance.max()),
        max_relative=float(relative.max()),
        cosine=cosine,
        top_1=float((mine.argmax(axis=1) == other.argmax(axis=1)).mean()) if classes else None,
        worst=(request, *map(int, index)),
        ours=float(a[index]),
        theirs=float(b[index]),
        within=bool((np.isfinite(distance) & (distance <= allowed.absolute + allowed.relative * np.abs(b))).all()),
    )
