"""What ``--mlflow`` does: results of a command become runs of MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli._app import OUTPUT
from edgesim.cli._console import say
from edgesim.errors import DeviceError, HostError, Interrupted
from edgesim.histories import commits, entry, mlflow_cells
from edgesim.histories.mlflow_runs import Record, Runs, Status
from edgesim.reports import formats
from edgesim.reports.formats import html, markdown
from edgesim.results.run_result import RunResult
from edgesim.sweeps.sweep import SweepResult

MlflowOption = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Also log to the MLflow server at this address; accounts and tokens come from the variables MLFLOW_….",
        rich_help_panel=OUTPUT,
    ),
]


def connect(uri: str | None) -> Runs | None:
    """Find the server, before the work; None without a URI. Raises as `Runs` does."""
    return Runs(uri) if uri is not None else None


def log(
    runs: Runs | None,
    results: Sequence[RunResult],
    *,
    artifacts: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log each result with its report, and say under which id; without a server nothing.

    Raises:
        HostError: the server does not answer, or refuses a run.
    """
    if runs is None:
        return
    revision = commits.revision(None, Path())
    for result in results:
        run_id = runs.log(entry.of_run(result, revision), artifacts={**_report(result), **(artifacts or {})}, tags=tags)
        say(f"edgesim: logged to MLflow at {runs}: run {run_id}")


@contextmanager
def failures_logged(runs: Runs | None, name: str) -> Iterator[None]:
    """Log a device that fails in the block, or an interrupt, with what was measured until then; both go on.

    Args:
        name: of a run in MLflow that has no figures.
    """
    try:
        yield
    except (DeviceError, Interrupted, KeyboardInterrupt) as error:
        if runs is not None:
            try:
                run_id = _log_failure(runs, error, name)
                say(f"edgesim: logged to MLflow at {runs}: run {run_id}")
            except HostError as refused:
                say(f"edgesim: {refused}")
        raise


def _log_failure(runs: Runs, error: DeviceError | Interrupted | KeyboardInterrupt, name: str) -> str:
    status: Status = "FAILED" if isinstance(error, DeviceError) else "KILLED"
    tags = {"edgesim.error": "interrupted" if isinstance(error, KeyboardInterrupt) else error.problem}
    result = None if isinstance(error, KeyboardInterrupt) else error.result
    if not isinstance(result, RunResult):
        return runs.add(Record(name=name, created=datetime.now(UTC), tags=tags, status=status))
    of_result = entry.of_run(result, commits.revision(None, Path()))
    return runs.log(of_result, artifacts=_report(result), tags=tags, status=status)


def log_sweep(runs: Runs | None, swept: SweepResult) -> None:
    """Log a sweep with its cells, and say under which id; without a server or a cell nothing. Raises as `log` does."""
    if runs is None or not swept.cells:
        return
    run_id, logged = mlflow_cells.log(runs, swept.cells, swept.left_out, swept.directory)
    say(f"edgesim: logged to MLflow at {runs}: {logged} of {len(swept.cells)} cells, below run {run_id}")


def _report(result: RunResult) -> dict[str, str]:
    """Return the report by the name of its file: the page, or Markdown where the page's libraries are missing."""
    try:
        return {"report.html": formats.render(result, html, "result.json")}
    except HostError:
        return {"report.md": formats.render(result, markdown, "result.json")}
