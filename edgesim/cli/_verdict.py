"""A verdict as a command delivers it: shown, written for CI, and as an exit code."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesim.cli import _github
from edgesim.cli._console import say, show
from edgesim.cli._flags import with_flags
from edgesim.cli._outputs import write
from edgesim.cli._summaries import of_verdict
from edgesim.errors import ExitCode
from edgesim.reports.formats import junit as junit_report
from edgesim.reports.formats import markdown as markdown_report
from edgesim.reports.formats import terminal
from edgesim.results.verdict import Item, Verdict, VerdictWord

_CODES: Mapping[VerdictWord, ExitCode] = {
    "PASS": ExitCode.OK,
    "FAIL": ExitCode.FAIL,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
}


def deliver(
    verdict: Verdict,
    *,
    junit: Path | None,
    as_json: bool,
    markdown: Path | None = None,
    quiet: bool = False,
    inconclusive_ok: bool = False,
    command: str,
) -> ExitCode:
    """Show a verdict, write its files, tell GitHub Actions, and return the exit code that stands for it.

    Args:
        inconclusive_ok: whether INCONCLUSIVE stands for the exit code 0.
        command: the command that gave the verdict.

    Raises:
        ResultError: a file cannot be written.
    """
    # Shown before it is written: if the disk is full, people still see the verdict.
    worded = _with_flags(verdict)
    if as_json:
        print(verdict.as_json(), end="")  # for programs: with the fields of the Python API
    elif quiet:
        print(of_verdict(worded))
    else:
        show(terminal.render_verdict(worded))
    _github.tell(worded)
    if junit is not None:
        write(junit, junit_report.render_verdict(worded, command))
    if markdown is not None:
        write(markdown, markdown_report.render_verdict(worded))
    if inconclusive_ok and verdict.word == "INCONCLUSIVE":
        say("edgesim: the verdict is INCONCLUSIVE; the exit code is 0 because of --inconclusive-ok")
        return ExitCode.OK
    return _CODES[verdict.word]


def _with_flags(verdict: Verdict) -> Verdict:
    """Return the verdict with the options in its findings named by their flags, for people."""

    def worded(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(item.model_copy(update={"finding": with_flags(item.finding)}) for item in items)

    return verdict.model_copy(update={"items": worded(verdict.items), "not_judged": worded(verdict.not_judged)})
