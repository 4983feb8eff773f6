"""The page of a sweep: a map of boards and models, the front of two figures, and the report of each cell."""

import io
import json
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from rich.console import Console, RenderableType

from edgesim.printable import harmless
from edgesim.reports.formats import terminal
from edgesim.reports.formats.html.page import filled, packed
from edgesim.reports.formats.html.plot import Plot
from edgesim.reports.sweep_overview import SweepOverview, column, outcome
from edgesim.results import result_file, sweep_directory
from edgesim.results.cell_result import CellResult
from edgesim.results.metric_directions import HIGHER_IS_BETTER
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict

_COLUMNS = 100


def render_sweep(overview: SweepOverview) -> str:
    """Return the page; the figures of all cells, and the reports of runs and checks, are inside."""
    document = {
        "settings": list(overview.settings),
        "higher_is_better": sorted(HIGHER_IS_BETTER),
        "cells": [_facts(overview, cell) for cell in overview.cells],
    }
    figure = go.Figure(layout={"xaxis": {"title": "device time, ms", "type": "log"}, "height": 420})
    front = Plot("front", "What no other cell beats", "", figure)
    return filled(
        "sweep.html.j2",
        [front],
        scripts=("sweep.js",),
        heading=overview.heading,
        kicker="sweep",
        raw=[("cells.json", Markup(packed(json.dumps(document))))],  # noqa: S704  # base64
        shown=overview.table(),
        notes=list(overview.notes()),
    )


def _facts(overview: SweepOverview, cell: CellResult) -> dict[str, Any]:
    file = overview.file_of(cell)
    beside = sweep_directory.report_of(file, cell.job) if file is not None else None
    facts: dict[str, Any] = {
        "name": cell.name,
        "job": cell.job,
        "profile": cell.profile,
        "board": cell.board,
        "model": cell.model,
        "precision": cell.precision,
        "target": cell.target,
        "settings": {name: str(value) for name, value in cell.settings.items()},
        "result": outcome(cell),
        "figures": {
            column(name, figure): [figure.value, figure.low, figure.high, figure.note]
            for name, figure in cell.figures.items()
        },
        "method": cell.method,
        "notes": list(cell.notes),
        "error": "" if cell.error is None else f"{cell.error.problem} {cell.error.fix}".strip(),
        "host": cell.host,
        "created": cell.created,
        "file": str(beside if beside is not None and beside.exists() else file or ""),
        "report": "",
    }
    if beside is not None and beside.exists():
        facts["report"] = _report(cell, result_file.document(beside), str(beside))
    return {name: _harmless(value) for name, value in facts.items()}


def _report(cell: CellResult, document: Any, file: str) -> str:
    """Return the report of a run or of a check as a terminal shows it."""
    if cell.job == "run":
        return _text(terminal.render_result(result_file.validated(RunResult, document, file)))
    return _text(terminal.render_verdict(result_file.validated(Verdict, document, file)))


def _text(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=_COLUMNS, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _harmless(facts: Any) -> Any:
    """Return facts whose texts have no control characters."""
    if isinstance(facts, dict):
        return {name: _harmless(value) for name, value in facts.items()}
    if isinstance(facts, list):
        return [_harmless(value) for value in facts]
    return harmless(facts) if isinstance(facts, str) else facts
