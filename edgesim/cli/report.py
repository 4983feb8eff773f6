"""``edgesim report`` and ``edgesim compare``: results as they are, without a verdict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _github
from edgesim.cli._console import out, print_json
from edgesim.cli._options import JsonOption, MarkdownOption
from edgesim.cli._outputs import require_outputs, write
from edgesim.errors import ExitCode, UsageError
from edgesim.gates.comparable import differences
from edgesim.gates.metric_change import metric_change
from edgesim.gates.result_metrics import NAMES, figure
from edgesim.reports import formats
from edgesim.reports.comparison import Change, Comparison
from edgesim.reports.formats import markdown as markdown_report
from edgesim.reports.formats import terminal
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult, read


def report_command(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json")],
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER.json", help="Laid over the first, which is its base.")
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"File of the report; its suffix says the format ({formats.FILE_HELP}). May be repeated. Without this"
            " option, the report goes to the terminal.",
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Two even where they are of different things; it is said.")
    ] = False,
) -> int:
    """Show a result, of one model or of a stack, or two of a model: on the terminal, or as files."""
    outputs = output or []
    chosen = [formats.format_of(path) for path in outputs]
    require_outputs((("-o", path) for path in outputs), (result, other))
    if other is None:
        found = read(result)
        texts = [formats.render(found, format_, result.name) for format_ in chosen]
        if not outputs:
            out.print(terminal.render_stack(found) if isinstance(found, StackResult) else terminal.render_result(found))
    else:
        if not outputs:
            raise UsageError("two results: -o FILE is missing", fix=f"edgesim compare {result} {other} shows them here")
        both = side_by_side(result, other, anyway=anyway)
        texts = [format_.render_comparison(both) for format_ in chosen]
    for path, content in zip(outputs, texts, strict=True):
        write(path, content)
        out.print(f"report: {path}", soft_wrap=True)
    return ExitCode.OK


def compare_command(
    base: Annotated[Path, typer.Argument(metavar="BASE.json")],
    candidate: Annotated[Path, typer.Argument(metavar="CAND.json")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even where they are of different things; it is said.")
    ] = False,
    markdown: MarkdownOption = None,
    as_json: JsonOption = False,
) -> int:
    """Two results side by side: every figure, its change, and how sure that is."""
    require_outputs([("--markdown", markdown)], (base, candidate))
    both = side_by_side(base, candidate, anyway=anyway)
    if markdown is not None:
        write(markdown, markdown_report.render_comparison(both))
    if as_json:
        print_json({"different": list(both.different), "metrics": both.metrics()})
    else:
        out.print(terminal.render_comparison(both))
    _github.summarise(markdown_report.render_comparison(both))
    return ExitCode.OK


def side_by_side(base: Path, candidate: Path, *, anyway: bool) -> Comparison:
    """Two results, to be shown side by side.

    Raises:
        ResultError: one is none.
        UsageError: they are of different things, and that is not wanted `anyway`.
    """
    ours, theirs = RunResult.read(base), RunResult.read(candidate)
    apart = differences(ours, theirs)
    if apart and not anyway:
        raise UsageError(
            f"{base} and {candidate} are of different things: {'; '.join(apart)}", fix="--anyway shows them even so"
        )
    return Comparison(
        base=ours,
        candidate=theirs,
        base_file=str(base),
        candidate_file=str(candidate),
        different=tuple(apart),
        changes=tuple(_changes(ours, theirs)),
    )


def _changes(base: RunResult, candidate: RunResult) -> Iterator[Change]:
    """The metrics that either side has."""
    for name in NAMES:
        found = metric_change(base, candidate, name)
        values = found.base.value, found.candidate.value
        if values == (None, None):
            continue
        interval = "-"
        if found.low is not None and found.high is not None:
            interval = f"{_percent(found.low)} to {_percent(found.high)} %{' *' if found.by == 'requests' else ''}"
        yield Change(
            metric=name,
            base=_figure(name, values[0]),
            candidate=_figure(name, values[1]),
            change=f"{_percent(found.change)} %" if found.change is not None else "-",
            interval=interval,
            figures={
                "base": values[0],
                "candidate": values[1],
                "change": found.change,
                "low": found.low,
                "high": found.high,
                "by": found.by,
            },
        )


def _figure(name: str, value: float | None) -> str:
    return figure(name, value) if value is not None else "-"


def _percent(part: float) -> str:
    percent = 100 * part
    return f"{percent:+.0f}" if abs(percent) >= 100 else f"{round(percent, 1) + 0.0:+.1f}"
