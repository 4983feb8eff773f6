"""``edgesim report``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from edgesim.cli import _last_results
from edgesim.cli._app import new_app
from edgesim.cli._comparison import side_by_side
from edgesim.cli._console import show, show_path
from edgesim.cli._options import ForceOption, QuietOption
from edgesim.cli._outputs import require_outputs, write
from edgesim.cli._summaries import of_result, of_several
from edgesim.errors import ExitCode
from edgesim.reports import formats
from edgesim.reports.formats import terminal
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results import sweep_directory
from edgesim.results.load import load

app = new_app()


@app.examples(
    "edgesim report",
    "edgesim report result.json -o report.html -o report.md",
    "edgesim report before.json after.json -o comparison.html",
    "edgesim report nano.json pi4.json pi5.json -o boards.html",
    "edgesim report sweep-results -o sweep.html -o cells.csv",
)
def report_command(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULT.json|DIR",
            help="Result files, the base first, or the directory of a sweep [default: the last run's].",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"Write a report; the suffix chooses the format ({formats.FILE_HELP}); may be repeated [default:"
            f" show the"
            " report on the terminal].",
        ),
    ] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> int:
    """Show one result, or several side by side, on the terminal or as files.

    Without a file, the command shows the result of the last run; for the directory of a sweep, it shows all cells.
    Several results are shown as in `edgesim compare`.
    """
    outputs = output or []
    files = results or _last_results.latest(1)
    require_outputs((("-o", path) for path in outputs), files)
    contents: Sequence[str | bytes]
    if len(files) == 1 and sweep_directory.is_sweep(files[0]):
        cells = SweepOverview.read(files[0])
        contents = [formats.render_sweep(cells, path) for path in outputs]
        summary, shown = cells.heading, terminal.render_sweep(cells)
    elif len(files) == 1:
        chosen = [formats.format_of(path) for path in outputs]
        recorded = load(files[0])
        contents = [formats.render(recorded, format_, files[0].name) for format_ in chosen]
        summary, shown = of_result(recorded), terminal.render(recorded)
    else:
        chosen = [formats.format_of(path) for path in outputs]
        compared = side_by_side(files, force=force)
        contents = [formats.render_several(compared, format_) for format_ in chosen]
        summary, shown = of_several(compared), terminal.render_several(compared)
    _deliver(contents, outputs, summary, shown, quiet=quiet)
    return ExitCode.OK


def _deliver(
    contents: Sequence[str | bytes], outputs: Sequence[Path], summary: str, shown: RenderableType, *, quiet: bool
) -> None:
    if quiet:
        print(summary)
    elif not outputs:
        show(shown)
    for path, content in zip(outputs, contents, strict=True):
        write(path, content)
        if not quiet:
            show_path("report", path)
