"""``edgesim report``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _last_results
from edgesim.cli._app import new_app
from edgesim.cli._comparison import side_by_side
from edgesim.cli._console import show, show_path
from edgesim.cli._options import QuietOption
from edgesim.cli._outputs import require_outputs, write
from edgesim.cli._summaries import of_result
from edgesim.errors import ExitCode, UsageError
from edgesim.reports import formats
from edgesim.reports.formats import terminal
from edgesim.results.load import load
from edgesim.results.stack_result import StackResult

app = new_app()


@app.examples(
    "edgesim report",
    "edgesim report result.json -o report.html -o report.md",
    "edgesim report before.json after.json -o comparison.html",
)
def report_command(
    result: Annotated[
        Path | None, typer.Argument(metavar="RESULT.json", help="A result file [default: the last run's].")
    ] = None,
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER.json", help="A result to compare with the first, which is its base.")
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"Write a report; the suffix says the format ({formats.FILE_HELP}); may be repeated [default: show the"
            " report on the terminal].",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare results of different boards or models; the report says so.")
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Show a result, or two, on the terminal or as files.

    Without a file it shows the result of the last run.
    """
    outputs = output or []
    chosen = [formats.format_of(path) for path in outputs]
    if result is None:
        (result,) = _last_results.latest(1)
    require_outputs((("-o", path) for path in outputs), (result, other))
    if other is None:
        recorded = load(result)
        texts = [formats.render(recorded, format_, result.name) for format_ in chosen]
        if quiet:
            print(of_result(recorded))
        elif not outputs:
            show(
                terminal.render_stack(recorded)
                if isinstance(recorded, StackResult)
                else terminal.render_result(recorded)
            )
    else:
        if not outputs:
            raise UsageError("two results: -o FILE is missing", fix=f"edgesim compare {result} {other} shows them here")
        comparison = side_by_side(result, other, force=force)
        texts = [format_.render_comparison(comparison) for format_ in chosen]
    for path, text in zip(outputs, texts, strict=True):
        write(path, text)
        if not quiet:
            show_path("report", path)
    return ExitCode.OK
