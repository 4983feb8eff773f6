"""Several measurements in one run, as tables: rates of a sweep or a search, and containers of a repeated run."""

from collections.abc import Iterator

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgesim.reports.figures import figure
from edgesim.results.run_result import RunResult, Spread

LEVELS = "latency at each rate (a second), and how late the generator was at p99, in ms"
LEVEL_HEADS = ("rate", "answered", "sent", "failed", "p50", "p90", "p99", "late", "judged")


def level_rows(result: RunResult) -> Iterator[tuple[str, ...]]:
    """Each rate (a second), in their order; latency and how late the generator was at p99, in milliseconds."""
    for level in sorted(result.levels, key=lambda level: level.qps):
        words = [] if level.held is None else ["held" if level.held else "not held"]
        words += [] if level.valid else ["INVALID"]
        yield (
            f"{level.qps:.4g}",
            f"{level.achieved_qps:.4g}" if level.achieved_qps is not None else "-",
            str(level.requests),
            str(level.failed),
            *(figure(level.latency_ms, name) for name in ("p50", "p90", "p99")),
            figure(level.lag_ms, "p99"),
            ", ".join(words),
        )


def levels(result: RunResult) -> Table:
    """One row for each rate, in the order of the rates."""
    table = _table(LEVELS)
    for column in LEVEL_HEADS:
        table.add_column(column, justify="left" if column == "judged" else "right", no_wrap=column != "judged")
    for row in level_rows(result):
        table.add_row(*row)
    return table


RESTARTS = "each container: seconds to start, latency in ms"
RESTART_HEADS = ("#", "start", "ready", "load", "first", "steady", "p50", "p90", "p99", "sent")


def restart_rows(result: RunResult) -> Iterator[tuple[str, ...]]:
    """Each container: seconds to start, and latency in milliseconds."""
    for i, restart in enumerate(result.restarts):
        times = restart.lifecycle_s
        yield (
            str(i + 1),
            *(
                f"{value:.3f}" if value is not None else "-"
                for value in (times.start, times.ready, times.model_load, times.first_inference, times.steady)
            ),
            *(figure(restart.latency_ms, name) for name in ("p50", "p90", "p99")),
            str(restart.samples),
        )


def spread_lines(result: RunResult) -> Iterator[str]:
    """Where the variance between containers comes from."""
    return (_spread(name, spread) for name, spread in result.spread.items())


def restarts(result: RunResult) -> Group:
    """One row for each container, and where the variance comes from."""
    table = _table(RESTARTS)
    for column in RESTART_HEADS:
        table.add_column(column, justify="right", no_wrap=True)
    for row in restart_rows(result):
        table.add_row(*row)
    return Group(table, *map(Text, spread_lines(result)))


def _spread(name: str, spread: Spread) -> str:
    what, _, unit = name.rpartition("_")
    within = f"within a container ±{spread.within:.3g}, " if spread.within is not None else ""
    return f"{what.replace('_', ' ')}: mean {spread.mean:.3g} {unit}, {within}between containers ±{spread.between:.3g}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
