"""A verdict as a command delivers it: shown, written for CI, and as an exit code."""

from pathlib import Path

from edgesim.cli import github
from edgesim.cli.files import write
from edgesim.cli.terminal import out
from edgesim.errors import ExitCode
from edgesim.report import checks, junit, markdown
from edgesim.verdict import Check, Verdict

_CODES: dict[Verdict, ExitCode] = {
    "PASS": ExitCode.OK, "FAIL": ExitCode.FAIL, "INCONCLUSIVE": ExitCode.INCONCLUSIVE
}  # fmt: skip


def deliver(
    found: Check,
    *,
    command: str,
    junit_file: Path | None,
    markdown_file: Path | None,
    as_json: bool,
) -> ExitCode:
    """Show it, write the files that were asked for, tell GitHub Actions; the exit code that stands for it.

    Raises:
        ResultError: a file cannot be written.
    """
    if junit_file is not None:
        write(junit_file, junit.check(found, command))
    if markdown_file is not None:
        write(markdown_file, markdown.check(found))
    if as_json:
        print(found.as_json(), end="")
    else:
        out.print(checks.render(found))
    github.tell(found)
    return _CODES[found.verdict]
