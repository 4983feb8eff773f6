"""``edgesim compare``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _github, _last_results
from edgesim.cli._app import new_app
from edgesim.cli._comparison import side_by_side
from edgesim.cli._console import print_json, show
from edgesim.cli._options import JsonOption, MarkdownOption, QuietOption
from edgesim.cli._outputs import require_outputs, write
from edgesim.cli._summaries import of_comparison
from edgesim.errors import ExitCode
from edgesim.reports.formats import markdown as markdown_report
from edgesim.reports.formats import terminal

app = new_app()


@app.examples("edgesim compare", "edgesim compare before.json after.json --markdown comment.md")
def compare_command(
    base: Annotated[
        Path | None, typer.Argument(metavar="BASE.json", help="A result file [default: the run before the last].")
    ] = None,
    candidate: Annotated[
        Path | None,
        typer.Argument(metavar="CAND.json", help="The result to compare with it [default: the last run's]."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare results of different boards or models; the output says so.")
    ] = False,
    markdown: MarkdownOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Show two results side by side, without a verdict.

    Every metric has its change, and the confidence interval of the change. Without files the last two runs are
    compared, with one file that file and the last run.
    """
    if base is None:
        base, candidate = _last_results.latest(2)
    elif candidate is None:
        (candidate,) = _last_results.latest(1)
    require_outputs([("--markdown", markdown)], (base, candidate))
    comparison = side_by_side(base, candidate, force=force)
    as_markdown = markdown_report.render_comparison(comparison)
    if markdown is not None:
        write(markdown, as_markdown)
    if as_json:
        print_json({"different": list(comparison.different), "metrics": comparison.metrics()})
    elif quiet:
        print(of_comparison(comparison))
    else:
        show(terminal.render_comparison(comparison))
    _github.summarise(as_markdown)
    return ExitCode.OK
