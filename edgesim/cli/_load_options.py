"""The options of `edgesim run` that say what is sent and for how long, and what their words mean."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, get_args

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError

from edgesim.errors import UsageError
from edgesim.measure.output_difference import Tolerance
from edgesim.options import PeakLimit, Precision, ScenarioName
from edgesim.units import parse_seconds

ScenarioOption = Annotated[
    str | None, typer.Option("--scenario", help="single-stream [default], multi-stream, server or offline.")
]
QpsOption = Annotated[float | None, typer.Option(help="Requests a second of the server scenario; implies it.")]
ClientsOption = Annotated[
    int | None, typer.Option(min=1, max=512, help="Clients side by side; offline, requests under way at a time.")
]
SamplesOption = Annotated[
    int | None, typer.Option("--samples-per-query", min=1, max=512, help="Of multi-stream [default: 8]; implies it.")
]
SweepOption = Annotated[str | None, typer.Option(metavar="N,N,…", help="The server scenario at each of these rates.")]
FindPeakOption = Annotated[bool, typer.Option("--find-peak", help="Search for the highest rate that holds a limit:")]
UnderOption = Annotated[str | None, typer.Option("--p99-under", metavar="TIME", help="the limit, such as 50ms.")]
RequestsOption = Annotated[int | None, typer.Option(min=1, help="Measured requests [default: 5 emulated, else 100].")]
DurationOption = Annotated[float | None, typer.Option(metavar="S", min=0, help="Seconds to measure, at least.")]
UntilOption = Annotated[
    str | None,
    typer.Option(metavar="pN:X%", help="Until the confidence interval of a percentile is within X %, such as p99:5%."),
]
WarmupOption = Annotated[
    int | None,
    typer.Option(
        min=0, help="Requests before the measured ones [default: 0 emulated, else until the level is steady]."
    ),
]
RepeatOption = Annotated[int, typer.Option(min=1, help="Over so many fresh containers.")]
SeedOption = Annotated[int, typer.Option(help="Seed of random inputs and arrivals.")]
InputOption = Annotated[
    Path | None, typer.Option("--input", metavar="FILE|DIR", help="Real inputs: an .npz file, or a directory of them.")
]
ShapeOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME=N,N,…", help="An input's sizes where the model leaves them open.")
]
RangeOption = Annotated[
    list[str] | None, typer.Option("--range", metavar="NAME=LOW:HIGH", help="An input's smallest and largest value.")
]
CoresOption = Annotated[
    str | None,
    typer.Option(metavar="N,N,…", help="Cores of this host for the client alone; the board gets the others."),
]


def scenario(word: str | None) -> ScenarioName | None:
    """Raises UsageError: there is none of that name."""
    if word is not None and word not in get_args(ScenarioName):
        raise UsageError(f"--scenario {word}: not one of {', '.join(get_args(ScenarioName))}")
    return word  # type: ignore[return-value]


def rates(word: str | None) -> Sequence[float]:
    """``10,20,40``. Raises UsageError: these are no rates."""
    try:
        found = [float(part) for part in word.split(",")] if word is not None else []
    except ValueError:
        found = [0.0]
    if any(not 0 < rate < float("inf") for rate in found):
        raise UsageError(f"--sweep {word}: not N,N,…", fix="for example --sweep 10,20,40, in requests a second")
    return found


def peak(wanted: bool, under: str | None) -> PeakLimit | None:
    """Raises UsageError: the search without a limit, or the limit without the search."""
    if wanted != (under is not None):
        raise UsageError("--find-peak and --p99-under go together", fix="for example --find-peak --p99-under 50ms")
    if under is None:
        return None
    try:
        return PeakLimit(percentile="p99", latency_ms=1000 * parse_seconds(under))
    except ValueError:
        raise UsageError(f"--p99-under {under}: not a time", fix="with its unit, for example 50ms or 1.5s") from None


def precision(word: str | None) -> Precision | None:
    """``p99:5%``. Raises UsageError: it is no such thing."""
    if word is None:
        return None
    percentile, _, percent = word.removeprefix("p").partition(":")
    try:
        found = Precision(percentile=float(percentile), percent=float(percent.removesuffix("%")))
    except ValueError:
        found = Precision(percentile=0, percent=0)
    if not word.startswith("p") or not 0 < found.percentile < 100 or not found.percent > 0:
        raise UsageError(f"--until {word}: not pN:X%", fix="for example --until p99:5%")
    return found


def shapes(words: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """``image=1,3,640,640`` each. Raises UsageError: it is no such thing."""
    found = {}
    for word in words:
        name, _, sizes = word.rpartition("=")
        try:
            found[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            raise UsageError(f"--shape {word}: not NAME=N,N,…", fix="for example --shape image=1,3,640,640") from None
    return found


def ranges(words: Sequence[str]) -> Mapping[str, tuple[float, float]]:
    """``input_ids=0:30521`` each. Raises UsageError: it is no such thing."""
    found = {}
    for word in words:
        name, _, bounds = word.rpartition("=")
        low, _, high = bounds.partition(":")
        try:
            found[name] = float(low), float(high)
        except ValueError:
            raise UsageError(
                f"--range {word}: not NAME=LOW:HIGH", fix="for example --range input_ids=0:30521"
            ) from None
        if not found[name][0] <= found[name][1]:
            raise UsageError(f"--range {word}: {low} is above {high}")
    return found


def tolerance(word: str | None) -> Tolerance | None:
    """``1e-3,1e-4``. Raises UsageError: it is no such thing."""
    if word is None:
        return None
    relative, _, absolute = word.partition(",")
    try:
        found = Tolerance(float(relative), float(absolute))
    except ValueError:
        found = Tolerance(-1, -1)
    if not (0 <= found.relative < math.inf and 0 <= found.absolute < math.inf):
        raise UsageError(f"--tolerance {word}: not REL,ABS", fix="for example --tolerance 1e-3,1e-4")
    return found


def size(word: str | None, option: str) -> int | None:
    """``50MiB``. Raises UsageError: it is no size."""
    if word is None:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(word))
    except ValidationError:
        raise UsageError(f"{option} {word}: not a size", fix=f"for example {option} 50MiB") from None


def cores(word: str | None) -> tuple[int, ...] | None:
    """``0,1``. Raises UsageError: these are no cores."""
    try:
        return tuple(int(part) for part in word.split(",")) if word is not None else None
    except ValueError:
        raise UsageError(f"--client-cores {word}: not N,N,…", fix="for example --client-cores 0") from None
