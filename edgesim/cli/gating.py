"""``edgesim gate``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import verdicts
from edgesim.cli.files import require_writable
from edgesim.cli.options import JsonOption, JunitOption, MarkdownOption
from edgesim.cli.terminal import err
from edgesim.errors import ExitCode, UsageError
from edgesim.gate import Rules, judge
from edgesim.gate.rules import FILE_NAME
from edgesim.result import RunResult


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
    code = verdicts.deliver(found, junit=junit, markdown=markdown, as_json=as_json)
    if found.verdict != "FAIL" and not judged.validity.valid:
        err.print("edgesim: the run is INVALID: it shows nothing")
        return ExitCode.INVALID
    return code
