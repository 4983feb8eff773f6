"""CSV: a row for each request; of an overview, a row for each result; of a sweep, a row for each cell."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from edgesim.printable import harmless
from edgesim.reports.comparison import Comparison
from edgesim.reports.overview import Overview
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult

DESCRIPTION = "a row for each request"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = ("request", "scheduled_ns", "sent_ns", "done_ns", "latency_ms", "service_time_ms", "outcome")


def render_result(result: RunResult, file: str) -> str:
    """Return the requests of a run."""
    return _csv(_rows(result), _COLUMNS)


def render_stack(result: StackResult, file: str) -> str:
    """Return the requests that the stack's entry was sent."""
    return _csv(_rows(result), _COLUMNS)


def render_comparison(comparison: Comparison) -> str:
    """Return the requests of both results; the first column says whose a request is."""
    sides = (("base", comparison.base), ("candidate", comparison.candidate))
    return _csv(((name, *row) for name, result in sides for row in _rows(result)), ("result", *_COLUMNS))


def render_overview(overview: Overview) -> str:
    """Return a row of figures for each result; a figure that is not known is empty."""
    figures = overview.figures()
    return _csv((tuple(row.values()) for row in figures), tuple(figures[0]))


def render_sweep(overview: SweepOverview) -> str:
    """Return a row for each cell; a figure that is not known is empty."""
    rows = overview.rows()
    return _csv((tuple(row.values()) for row in rows), tuple(rows[0]))


def _rows(result: Recorded) -> Iterator[tuple[Any, ...]]:
    for number, sample in enumerate(result.samples):
        # A failed request has no latency: the time until a failure is not a latency.
        times = (sample.latency_ms, sample.service_time_ms) if sample.ok else ("", "")
        yield (number, sample.scheduled_ns, sample.sent_ns, sample.done_ns, *times, sample.outcome)


def _cell(value: Any) -> Any:
    """Return a figure as it is, and text of a result so that no spreadsheet takes the text for a formula."""
    if not isinstance(value, str):
        return value
    return harmless(f"'{value}" if value.startswith(_FORMULAS) else value)


def _csv(rows: Iterator[tuple[Any, ...]], heads: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()
