"""``edgesim compare`` and ``edgesim gate``."""

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from edgesim.cli import github, verdicts
from edgesim.cli.files import require_writable, write
from edgesim.cli.options import JsonOption, JunitOption, MarkdownOption
from edgesim.cli.reporting import side_by_side
from edgesim.cli.terminal import err, out, print_json
from edgesim.errors import ExitCode, UsageError
from edgesim.gate import Rules, judge
from edgesim.gate.rules import FILE_NAME
from edgesim.report import markdown as report
from edgesim.result import RunResult


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
    if markdown is not None:
        require_writable(markdown, "--markdown")
    both = side_by_side(base, candidate, anyway=anyway)
    if markdown is not None:
        write(markdown, report.comparison(both))
    github.summarise(report.comparison(both))
    if as_json:
        print_json(
            {
                "different": list(both.different),
                "metrics": {
                    metric: dict(zip(("base", "candidate", "change", "sure"), words, strict=True))
                    for metric, *words in both.changes
                },
            }
        )
        return ExitCode.OK
    table = Table(
        title=f"{both.base.model.name} → {both.candidate.model.name}", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("metric", no_wrap=True)
    for column in ("base", "candidate", "change"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("99 % sure")
    for change in both.changes:
        table.add_row(*change)
    out.print(table)
    for result, path in ((both.base, base), (both.candidate, candidate)):
        if not result.validity.valid:
            out.print(Text(f"{path} is INVALID: {'; '.join(result.validity.reasons)}", style="bold red"))
    for field in both.different:
        out.print(Text(f"NOT COMPARABLE: {field}", style="bold red"))
    return ExitCode.OK


def gate_command(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json")],
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A result to compare with, for rules of change.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(metavar="FILE", help=f"[default: {FILE_NAME}]")] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Such as 'device_time_ms.p50 <= 120'; may be repeated.")
    ] = None,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    as_json: JsonOption = False,
) -> int:
    """A verdict on a result by rules. Exit code 1 when one fails, 6 when one cannot be judged, 5 for an INVALID run."""
    for path, option in ((junit, "--junit"), (markdown, "--markdown")):
        if path is not None:
            require_writable(path, option)
    if rule and rules is not None:
        raise UsageError("--rule and --rules: one of them")
    chosen = Rules.of(rule) if rule else Rules.read(rules if rules is not None else Path(FILE_NAME))
    judged = RunResult.read(result)
    found = judge(judged, chosen, RunResult.read(baseline) if baseline is not None else None)
    code = verdicts.deliver(found, command="gate", junit_file=junit, markdown_file=markdown, as_json=as_json)
    if found.verdict != "FAIL" and not judged.validity.valid:
        err.print("edgesim: the run is INVALID: it shows nothing")
        return ExitCode.INVALID
    return code
