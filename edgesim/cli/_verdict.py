"""A verdict as a command delivers it: shown, written for CI, and as an exit code."""

from pathlib import Path

from edgesim.cli import _github
from edgesim.cli._console import out
from edgesim.cli._outputs import write
from edgesim.errors import ExitCode
from edgesim.reports.formats import junit as junit_report
from edgesim.reports.formats import markdown as markdown_report
from edgesim.reports.formats import terminal
from edgesim.results.verdict import Verdict, VerdictWord

_CODES: dict[VerdictWord, ExitCode] = {
    "PASS": ExitCode.OK,
    "FAIL": ExitCode.FAIL,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
}


def deliver(
    found: Verdict,
    *,
    junit: Path | None,
    as_json: bool,
    markdown: Path | None = None,
    command: str = "gate",
) -> ExitCode:
    """Show it, write the files that were asked for, tell GitHub Actions; the exit code that stands for it.

    `command` is which one gave it.

    Raises:
        ResultError: a file cannot be written.
    """
    # First where people see it: a disk that is full then takes no more than a file.
    if as_json:
        print(found.as_json(), end="")
    else:
        out.print(terminal.render_verdict(found))
    _github.tell(found)
    if junit is not None:
        write(junit, junit_report.render_verdict(found, command))
    if markdown is not None:
        write(markdown, markdown_report.render_verdict(found))
    return _CODES[found.word]
