"""What the words of options mean: rates, times, sizes, shapes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ByteSize, TypeAdapter, ValidationError

from edgesim.errors import UsageError
from edgesim.measure.tolerance import Tolerance
from edgesim.options import DetectionMatch, Generate, PeakLimit, Precision
from edgesim.units import parse_seconds


def rates(word: str) -> tuple[float, ...]:
    """Return the rates of ``10,20,40``, in requests per second. Raises UsageError: the word is not a list of rates."""
    try:
        rates = tuple(float(part) for part in word.split(","))
    except ValueError:
        rates = ()
    if not rates or any(not 0 < rate < math.inf for rate in rates):
        raise UsageError(f"--sweep {word}: not RATE,RATE,…", fix="for example --sweep 10,20,40, in requests per second")
    return rates


def peak(search: bool, under: str | None) -> PeakLimit | None:
    """Return the limit of a peak search; None if there is no search.

    Raises:
        UsageError: there is a search without a limit or a limit without a search, or the limit is not a time.
    """
    if search != (under is not None):
        raise UsageError("--find-peak and --p99-under go together", fix="for example --find-peak --p99-under 50ms")
    if under is None:
        return None
    try:
        return PeakLimit(percentile="p99", latency_ms=1000 * parse_seconds(under))
    except ValueError:
        raise UsageError(f"--p99-under {under}: not a time", fix="with its unit, for example 50ms or 1.5s") from None


def precision(word: str) -> Precision:
    """Return the precision of ``p99:5%``. Raises UsageError: the word is not a precision."""
    percentile, _, percent = word.removeprefix("p").partition(":")
    try:
        precision = Precision(percentile=float(percentile), percent=float(percent.removesuffix("%")))
    except ValueError:
        precision = Precision(percentile=0, percent=0)
    if not word.startswith("p") or not 0 < precision.percentile < 100 or not precision.percent > 0:
        raise UsageError(f"--until {word}: not pN:X%", fix="for example --until p99:5%")
    return precision


def shapes(words: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Return the sizes of inputs by name: ``image=1,3,640,640``. Raises UsageError: a word is not a shape."""
    shapes = {}
    for word in words:
        name, _, sizes = word.rpartition("=")
        try:
            # Nothing is the shape of a scalar.
            shapes[name] = tuple(int(size) for size in sizes.split(",")) if sizes else ()
        except ValueError:
            raise UsageError(f"--shape {word}: not NAME=N,N,…", fix="for example --shape image=1,3,640,640") from None
        if not name or min(shapes[name], default=0) < 0:
            raise UsageError(f"--shape {word}: not NAME=N,N,…", fix="for example --shape image=1,3,640,640")
    return shapes


# In place of a size by name: guess all sizes that are not known.
AUTO = "auto"
_MOST_DIGITS = 18  # of a size; Python reads no number of thousands of digits


def dims(words: Sequence[str]) -> Mapping[str, int]:
    """Return sizes by the model's names for them: ``batch=1``. `AUTO` is left out.

    Raises:
        UsageError: a word is neither NAME=N nor `AUTO`.
    """
    dims = {}
    for word in words:
        name, equals, size = word.rpartition("=")
        if word == AUTO:
            continue
        if not (equals and name and size.isdecimal() and len(size) <= _MOST_DIGITS):
            raise UsageError(f"--dim {word}: not NAME=N", fix=f"for example --dim sequence=128; or --dim {AUTO}")
        dims[name] = int(size)
    return dims


def ranges(words: Sequence[str]) -> Mapping[str, tuple[float, float]]:
    """Return the ranges of inputs by name: ``input_ids=0:30521``. Raises UsageError: a word is not a range."""
    ranges = {}
    for word in words:
        name, _, bounds = word.rpartition("=")
        low, _, high = bounds.partition(":")
        try:
            ranges[name] = float(low), float(high)
        except ValueError:
            raise UsageError(
                f"--range {word}: not NAME=LOW:HIGH", fix="for example --range input_ids=0:30521"
            ) from None
        if not ranges[name][0] <= ranges[name][1]:
            raise UsageError(f"--range {word}: {low} is above {high}")
    return ranges


def match(word: str) -> DetectionMatch:
    """Return what ``detections:iou=0.7,boxes=dets`` asks for. Raises UsageError: the word does not say that."""
    kind, _, keys = word.partition(":")
    pairs = [pair.partition("=") for pair in keys.split(",")] if keys else []
    if kind != "detections" or any(not value for _, _, value in pairs):
        raise UsageError(
            f"--match {word}: not detections[:KEY=VALUE,…]",
            fix="for example --match detections, or --match detections:boxes=dets,scores=conf,iou=0.7",
        )
    try:
        values: dict[str, Any] = {name: value for name, _, value in pairs}
        return DetectionMatch(**values)
    except UsageError as error:
        raise UsageError(f"--match {word}: {error.problem}", fix=error.fix) from error


def state(words: Sequence[str]) -> Mapping[str, str] | Literal["auto"]:
    """Return the outputs fed into inputs: ``stateN=state``; or ``auto``. Raises UsageError: a word is neither."""
    if list(words) == ["auto"]:
        return "auto"
    fed = {}
    for word in words:
        output, equals, name = word.partition("=")
        if not (output and equals and name):
            raise UsageError(
                f"--state {word}: not OUTPUT=INPUT", fix="for example --state stateN=state; or --state auto alone"
            )
        fed[output] = name
    return fed


def generate(word: str) -> Generate:
    """Return the tokens of ``prompt=128,tokens=32``. Raises UsageError: the word does not say both."""
    try:
        parts = {name: int(count) for name, _, count in (part.partition("=") for part in word.split(","))}
    except ValueError:
        parts = {}
    if parts.keys() != {"prompt", "tokens"} or min(parts.values()) < 1:
        raise UsageError(
            f"--generate {word}: not prompt=N,tokens=N, each 1 or more",
            fix="for example --generate prompt=128,tokens=32",
        )
    return Generate(**parts)


def tolerance(word: str | None) -> Tolerance | None:
    """Return the tolerance of ``1e-3,1e-4``. Raises UsageError: the word is not a tolerance."""
    if word is None:
        return None
    relative, _, absolute = word.partition(",")
    try:
        tolerance = Tolerance(float(relative), float(absolute))
    except ValueError:
        tolerance = Tolerance(-1, -1)
    if not (0 <= tolerance.relative < math.inf and 0 <= tolerance.absolute < math.inf):
        raise UsageError(f"--tolerance {word}: not REL,ABS", fix="for example --tolerance 1e-3,1e-4")
    return tolerance


def size(word: str | None, option: str) -> int | None:
    """Return the bytes of ``50MiB``. Raises UsageError: the word is not a size."""
    if word is None:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(word))
    except ValidationError:
        raise UsageError(f"{option} {word}: not a size", fix=f"for example {option} 50MiB") from None


def cores(word: str) -> tuple[int, ...]:
    """Return the cores of ``0,1``. Raises UsageError: the word is not a list of cores."""
    try:
        return tuple(int(part) for part in word.split(","))
    except ValueError:
        raise UsageError(f"--client-cores {word}: not N,N,…", fix="for example --client-cores 0") from None


def named_values(words: Sequence[str] | None, option: str) -> Mapping[str, str]:
    """Return the values of NAME=VALUE, by name.

    Raises:
        UsageError: a word has no name or no value.
    """
    values = {}
    for word in words or ():
        name, separator, value = word.partition("=")
        if not separator or not name:
            raise UsageError(f"{option} {word}: not NAME=VALUE")
        values[name] = value
    return values
