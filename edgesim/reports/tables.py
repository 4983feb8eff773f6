"""The tables of a report as text: the same title, heads and rows in every format."""

from collections.abc import Iterator
from typing import NamedTuple

from edgesim.reports import instruction_phrases, phrases
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    CountSection,
    Distribution,
    InstructionsSection,
    Level,
    ResourcesSection,
    ScenarioSection,
    Spread,
)
from edgesim.results.stack_result import ServiceSection, StackResult
from edgesim.units import format_bytes, format_ms, format_seconds

# The statistics of a distribution in the table of times: field names and heads.
STATISTICS = {"min": "min", "mean": "mean", **phrases.PERCENTILE_LABELS, "max": "max"}
# Classes of instructions: keys of a count, and heads.
_CLASSES = {
    "vector": "vector",
    "vector_memory": "vector memory",
    "scalar_memory": "scalar memory",
    "branches": "branches",
    "scalar": "other",
}
_SHORT = ("p50", "p90", "p99")


class Table(NamedTuple):
    """A table; every row has as many cells as `heads`.

    `text` has the numbers of the columns that hold words; the others hold figures. The first `keys` columns say what a
    row is about; the other columns say nothing without them.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: tuple[int, ...] = (0,)
    keys: int = 1


def figure(times: Distribution, name: str) -> str:
    """Return one statistic in milliseconds.

    Four digits from 100 ms on, so that a row of figures fits a line of 80 columns. ``∞`` lies among the failed
    requests; ``-`` means that the sample is too small to state the figure.
    """
    value = getattr(times, name)
    if value is None:
        return "∞" if name in times.infinite else "-"
    decimals = 3 if 0 < value < 0.1 else 2 if value < 99.995 else 1 if value < 999.95 else 0
    return f"{value:.{decimals}f}"


def times(result: Recorded, scenario: ScenarioSection) -> Table:
    """Return the times of the requests: a row for each kind of time, a column for each of `STATISTICS`."""
    generation = result.generation if isinstance(result, RunResult) else None
    sections = {
        "first token": generation.time_to_first_token_ms if generation is not None else None,
        "further token": generation.inter_token_ms if generation is not None else None,
        "query latency": result.query_latency_ms if isinstance(result, RunResult) else None,
        "latency": result.latency_ms,
        "service time": result.service_time_ms,
        "lag": result.lag_ms,
    }
    rows = tuple(
        (label, *(figure(section, name) for name in STATISTICS))
        for label, section in sections.items()
        if section is not None
    )
    return Table(phrases.times_title(result, scenario), ("ms", *STATISTICS.values()), rows)


def targets(result: RunResult) -> Table:
    """Return the predicted time of each target of the board, in milliseconds, or why there is none."""
    rows = tuple(
        (name, format_ms(section.p50_ms), f"{format_ms(section.low_ms)} to {format_ms(section.high_ms)}")
        if section.p50_ms is not None and section.low_ms is not None and section.high_ms is not None
        else (name, "-", f"not predicted: {section.method.removeprefix('none: ')}")
        for name, section in result.targets.items()
    )
    return Table("predicted for each target of the board", ("target", "ms", "80 % band"), rows, text=(0, 2))


def published(result: RunResult) -> Table | None:
    """Return what others have published for the model's network on the board, in milliseconds; None without any."""
    rows = tuple(
        (name, format_ms(figure.ms), phrases.about_published(figure))
        for name, section in result.targets.items()
        for figure in section.published
    )
    heads = ("published for", "ms", "of what, and source")
    return Table("published for the same network", heads, rows, text=(0, 2)) if rows else None


def levels(result: RunResult) -> Table:
    """Return the request rates of a sweep or of a peak search, in ascending order; latency and lag in milliseconds."""
    rows = []
    for level in sorted(result.levels, key=lambda level: level.qps):
        rows.append(
            (
                f"{level.qps:.4g}",
                f"{level.achieved_qps:.4g}" if level.achieved_qps is not None else "-",
                str(level.requests),
                str(level.failed),
                *(figure(level.latency_ms, name) for name in _SHORT),
                figure(level.lag_ms, "p99"),
                judged(level),
            )
        )
    return Table(
        "latency at each request rate, and the load generator's lag at p99, in ms",
        ("rate/s", "answered/s", "sent", "failed", *_SHORT, "lag", "judged"),
        tuple(rows),
        text=(8,),
    )


def level_notes(result: RunResult) -> Iterator[str]:
    """Yield why levels are INVALID, in ascending order of the rates."""
    for level in sorted(result.levels, key=lambda level: level.qps):
        yield from (f"INVALID at {level.qps:.4g} requests/s: {reason}" for reason in level.reasons)


def judged(level: Level) -> str:
    """Return what a level showed: whether it kept a limit, whether the board kept up, and whether it is INVALID."""
    words = [] if level.held is None else ["within limit" if level.held else "over limit"]
    if level.failed:
        words.append(f"{level.failed} failed")
    if level.overloaded:
        words.append("overload")
    elif level.held is None and level.overloaded is not None and not level.failed:
        words.append("keeps up")
    words += [] if level.valid else ["INVALID"]
    return ", ".join(words) or "not known"


def containers(result: RunResult) -> Table:
    """Return the containers of a repeated run: seconds to start, latency in milliseconds."""
    rows = []
    for number, restart in enumerate(result.restarts, start=1):
        lifecycle = restart.lifecycle_s
        seconds = (
            lifecycle.start,
            lifecycle.ready,
            lifecycle.model_load,
            lifecycle.first_inference,
            lifecycle.steady,
        )
        rows.append(
            (
                str(number),
                *(f"{value:.3f}" if value is not None else "-" for value in seconds),
                *(figure(restart.latency_ms, name) for name in _SHORT),
                str(restart.samples),
            )
        )
    return Table(
        "each container: seconds to start, ready, loaded model, first answer, warm; latency in ms",
        ("#", "start", "ready", "model load", "first", "steady", *_SHORT, "sent"),
        tuple(rows),
        text=(),
    )


def spread_lines(result: RunResult) -> Iterator[str]:
    """Yield, for each figure, how much of its variance lies within a container and how much between containers."""
    return (_spread(name, spread) for name, spread in result.spread.items())


def _spread(name: str, spread: Spread) -> str:
    what, _, unit = name.rpartition("_")
    within = f"within a container ±{spread.within:.3g}, " if spread.within is not None else ""
    return f"{what.replace('_', ' ')}: mean {spread.mean:.3g} {unit}, {within}between containers ±{spread.between:.3g}"


def services(result: StackResult) -> Table:
    """Return what each service on the board used; the last row is the whole board."""
    counted = _is_counted(result)
    rows = []
    for name, service in result.on_board.items():
        rows.append((name, _state(service), *_used(service.resources), *_limit_and_counts(service, counted=counted)))
    counts = (str(result.resources.oom_kills or "-"), "") if counted else ()
    rows.append(("the board", "", *_used(result.resources), format_bytes(result.budget.memory_bytes), *counts))
    heads = ("service", "state", "CPU s", "of board", "throttled", "memory peak", "limit")
    return Table("services", (*heads, *(_COUNTS if counted else ())), tuple(rows), text=(0, 1))


def beside_board(result: StackResult) -> Table | None:
    """Return what each service beside the board used; None if there is none."""
    if not result.beside:
        return None
    counted = _is_counted(result)
    rows = []
    for name, service in result.beside.items():
        seconds, _, throttled, peak = _used(service.resources)
        limit = _limit_and_counts(service, counted=counted)
        rows.append((name, _state(service), seconds, throttled, peak, *limit))
    heads = ("beside the board", "state", "CPU s", "throttled", "memory peak", "limit")
    return Table("beside the board", (*heads, *(_COUNTS if counted else ())), tuple(rows), text=(0, 1))


_COUNTS = ("killed", "restarts")


def _is_counted(result: StackResult) -> bool:
    return any(service.killed or service.restarts for service in result.services.values())


def _limit_and_counts(service: ServiceSection, *, counted: bool) -> tuple[str, ...]:
    limit = format_bytes(service.memory_limit_bytes) if service.memory_limit_bytes is not None else "-"
    return limit, *((str(service.killed or "-"), str(service.restarts or "-")) if counted else ())


def _state(service: ServiceSection) -> str:
    if service.exit_code is not None:
        succeeded = service.kind == "step" and service.exit_code == 0
        return f"done in {format_seconds(service.ran_s)}" if succeeded else f"ended with {service.exit_code}"
    return service.health if service.health is not None else service.state


def _used(resources: ResourcesSection) -> tuple[str, str, str, str]:
    """Return CPU seconds, share of the board's CPU, time throttled, memory peak."""
    seconds = f"{resources.cpu_seconds:.2f}" if resources.cpu_seconds is not None else "-"
    share = f"{resources.cpu_percent_of_board:.0f} %" if resources.cpu_percent_of_board is not None else "-"
    throttled = format_seconds(resources.throttled_s) if resources.throttled_s else "-"
    peak = format_bytes(resources.memory_peak_bytes) if resources.memory_peak_bytes is not None else "-"
    return seconds, share, throttled, peak


def instructions(section: InstructionsSection) -> Table:
    """Return a row for each part of the server's life, in millions of instructions and bytes."""
    parts = {
        "inference": section.inference,
        "request": section.request,
        "model load": section.load,
        "start": section.start,
    }
    rows = tuple(_count_row(name, count) for name, count in parts.items() if count is not None)
    heads = ("million instructions", "all", *_CLASSES.values(), "loaded", "stored")
    return Table("instructions by class", heads, rows)


def _count_row(name: str, count: CountSection) -> tuple[str, ...]:
    classes = (instruction_phrases.millions(count.by_class.get(each, 0)) for each in _CLASSES)
    return (
        name,
        instruction_phrases.millions(count.p50),
        *classes,
        format_bytes(count.loaded_bytes),
        format_bytes(count.stored_bytes),
    )
