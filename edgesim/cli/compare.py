"""``edgesim compare``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _github, _last_results
from edgesim.cli._app import new_app
from edgesim.cli._comparison import side_by_side
from edgesim.cli._console import print_json, show
from edgesim.cli._options import ForceOption, JsonOption, MarkdownOption, QuietOption
from edgesim.cli._outputs import require_outputs, write
from edgesim.cli._summaries import of_several
from edgesim.errors import ExitCode
from edgesim.reports import formats
from edgesim.reports.formats import markdown as markdown_report
from edgesim.reports.formats import terminal

app = new_app()


@app.examples(
    "edgesim compare",
    "edgesim compare before.json after.json --markdown comment.md",
    "edgesim compare nano.json pi4.json pi5.json",
    "edgesim compare on-1.16.json on-1.18.json --across-runtimes",
)
def compare_command(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULT.json", help="Result files, the base first [default: those of the last two runs]."
        ),
    ] = None,
    force: ForceOption = False,
    across_runtimes: Annotated[
        bool,
        typer.Option(
            "--across-runtimes",
            help="Compare two results change by change even if their releases of ONNX Runtime differ.",
        ),
    ] = False,
    markdown: MarkdownOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Show results side by side, without a verdict.

    For two results of the same board and model, every metric has its change with a confidence interval.
    More results, or results of different boards or models, are shown in one table. Without files, the command compares
    the last two runs; with one file, it compares the file with the last run.
    """
    files = list(results or [])
    if len(files) < 2:
        files += _last_results.latest(2 - len(files))
    require_outputs([("--markdown", markdown)], files)
    compared = side_by_side(files, force=force, across_runtimes=across_runtimes)
    as_markdown = formats.render_several(compared, markdown_report)
    if markdown is not None:
        write(markdown, as_markdown)
    if as_json:
        print_json(compared.document())
    elif quiet:
        print(of_several(compared))
    else:
        show(terminal.render_several(compared))
    _github.summarise(as_markdown)
    return ExitCode.OK
