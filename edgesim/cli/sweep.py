"""``edgesim sweep``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from edgesim.cli import _console, _mlflow, _settings
from edgesim.cli._app import OUTPUT, new_app
from edgesim.cli._mlflow import MlflowOption
from edgesim.cli._options import JsonOption, QuietOption
from edgesim.cli._outputs import make_directory
from edgesim.errors import ExitCode, UsageError
from edgesim.reports.formats import terminal
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.sweeps.face import of_scheduler
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.sweep import Forecast, forecast, sweep
from edgesim.units import counted, format_estimate

_MATRIX = "Boards, models and options"
_MACHINES = "Many machines"

app = new_app()


@app.examples(
    "edgesim sweep sweep.yaml -o results",
    "edgesim sweep --profile 'jetson-*' --profile raspberry-pi-5 --model 'models/*' --set threads=1,4 -o results",
    "edgesim sweep --profile raspberry-pi-5 --model digits --set job=run --set precision=fp32,int8 -o results",
    "edgesim sweep sweep.yaml --scheduler tcp://HOST:8786 -o results",
    "edgesim report results -o sweep.html",
)
def sweep_command(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="SWEEP.yaml", help="A sweep file; options replace the keys of the file."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Use this board, or all boards whose names match, such as `jetson-*` or `jetson-nano:*`; may be"
            " repeated.",
            rich_help_panel=_MATRIX,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Use this model, or all models that match, such as 'models/*'; may be repeated.",
            rich_help_panel=_MATRIX,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE,…",
            help="Use each of these values of an option: job=predict|run|check, precision=fp32,int8, threads, batch,"
            " target=cpu,gpu:*, or an option of a run; may be repeated.",
            rich_help_panel=_MATRIX,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Keep the results in this directory; cells that already have a result there are not repeated.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Send the cells to the workers of this Dask scheduler: tcp://HOST:8786. Needs edgesim[dask].",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Share serving images through this registry: one worker builds and pushes an image, the others pull"
            " it. Without a registry, each machine builds its own.",
            rich_help_panel=_MACHINES,
        ),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Repeat the cells that failed.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the number of cells and how many are done; run nothing.")
    ] = False,
    mlflow: MlflowOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Predict, run or check many models on many boards, each combination once.

    Each cell has a file of its own, so an interrupted sweep continues with the missing cells. The exit code is 0 if
    every cell has a result, even an INVALID or FAIL one; otherwise it is the largest exit code of a cell's error.
    """
    base = Matrix.read(file) if file is not None else None
    matrix = Matrix.of(profile or (), model or (), _settings.parsed(settings or ()), base)
    listener = _console.listener(quiet=quiet)
    if dry_run:
        _show_forecast(forecast(matrix, output, listener=listener, retry=retry), as_json=as_json)
        return ExitCode.OK
    if output is None:
        raise UsageError("`output`: a sweep keeps its results in a directory", fix="for example -o results")
    runs = _mlflow.connect(mlflow)
    make_directory(output)
    executor = of_scheduler(scheduler, registry)
    result = sweep(matrix, output, retry=retry, executor=executor, listener=listener)
    _mlflow.log_sweep(runs, result)
    overview = SweepOverview(result.cells, result.left_out, output)
    if as_json:
        _console.print_json(overview.document())
    elif quiet:
        print(overview.heading)
    else:
        _console.show(terminal.render_sweep(overview))
        _console.show()
        _console.show_path("results", output)
    return max((cell.error.exit_code for cell in result.failed if cell.error is not None), default=ExitCode.OK)


def _show_forecast(found: Forecast, *, as_json: bool) -> None:
    facts: Mapping[str, Any] = {
        "cells": len(found.cells),
        "done": found.done,
        "failed": found.failed,
        "to_do": dict(found.to_do),
        "seconds": found.seconds,
        "left_out": list(found.left_out),
        "names": [cell.name for cell in found.cells],
    }
    if as_json:
        _console.print_json(facts)
        return
    to_do = ", ".join(f"{count:,} x {job}" for job, count in found.to_do.items()) or "none"
    cost = "the time is known when a cell of each job is done in this directory"
    if found.seconds is not None:
        cost = f"about {format_estimate(found.seconds)}, one after the other" if found.to_do else "no time"
    failed = f", {found.failed:,} failed (--retry does them again)" if found.failed else ""
    lines = [
        Text(f"{counted(len(found.cells), 'cell')}: {found.done:,} done{failed}"),
        Text(f"to do: {to_do}; {cost}"),
        *(Text(f"left out: {reason}", style="yellow") for reason in found.left_out),
    ]
    _console.show(Group(*lines))
