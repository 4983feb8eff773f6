"""The cells of a sweep as runs of MLflow: one for the sweep, and below it one for each cell."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from edgesim.errors import HostError
from edgesim.histories.mlflow_runs import Record, Runs
from edgesim.reports.formats import html, markdown
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.cell_result import CellResult

_SWEEP_TAG, _CELL_TAG = "edgesim.sweep", "edgesim.cell"


def log(runs: Runs, cells: Sequence[CellResult], left_out: Sequence[str], directory: Path) -> tuple[str, int]:
    """Log the cells of a sweep that are not there yet; return the id of the sweep's run, and how many were logged.

    A sweep is known by its cells: one that is done again, in whatever directory, has the same run. A cell that failed
    is logged each time, as a run that failed.

    Raises:
        HostError: the server does not answer, or refuses a run.
    """
    digest = hashlib.sha256("".join(sorted(cell.key for cell in cells)).encode()).hexdigest()[:12]
    page = _page(SweepOverview(tuple(cells), tuple(left_out), directory))
    parent = runs.with_tag(_SWEEP_TAG, digest)
    if parent is None:
        jobs = sorted({cell.job for cell in cells})
        record = Record(
            name=f"sweep of {len(cells)} cells",
            created=min(_created(cell) for cell in cells),
            parameters={"cells": str(len(cells)), "jobs": ", ".join(jobs)},
            tags={_SWEEP_TAG: digest},
            artifacts=page,
        )
        parent, known = runs.add(record), set()
    else:
        runs.update(parent, page)
        known = runs.tags_below(parent, _CELL_TAG)
    new = [cell for cell in cells if cell.key not in known]
    for cell in new:
        runs.add(record_of(cell), parent=parent)
    return parent, len(new)


def record_of(cell: CellResult) -> Record:
    """Return the run of a cell: its settings are parameters, its figures metrics; the cell's file is an artifact."""
    parameters = {
        "job": cell.job,
        "profile": cell.profile,
        "model": cell.model,
        "precision": cell.precision,
        "target": cell.target,
        "host": cell.host,
        **{name: str(value) for name, value in cell.settings.items()},
    }
    tags = {
        _CELL_TAG: cell.key,
        "edgesim.version": cell.edgesim_version,
        "edgesim.board": cell.board,
        "edgesim.validity" if cell.word in ("VALID", "INVALID") else "edgesim.verdict": cell.word,
        "edgesim.error": cell.error.problem if cell.error is not None else None,
    }
    report = {"report.json": cell.report} if cell.report is not None else {}
    return Record(
        name=cell.name,
        created=_created(cell),
        parameters={name: value for name, value in parameters.items() if value is not None},
        metrics={name: figure.value for name, figure in cell.figures.items() if figure.value is not None},
        tags={name: value for name, value in tags.items() if value is not None},
        artifacts={"cell.json": cell.as_json(), **report},
        status="FAILED" if cell.failed else "FINISHED",
    )


def _created(cell: CellResult) -> datetime:
    return datetime.fromisoformat(cell.created)


def _page(overview: SweepOverview) -> dict[str, str]:
    """Return the page by the name of its file, or Markdown where the page's libraries are missing."""
    try:
        return {"sweep.html": html.render_sweep(overview)}
    except HostError:
        return {"sweep.md": markdown.render_sweep(overview)}
