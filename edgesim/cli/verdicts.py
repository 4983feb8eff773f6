"""A verdict as a command delivers it: shown, written for CI, and as an exit code."""

from pathlib import Path

from edgesim.cli.terminal import out
from edgesim.errors import ExitCode, ResultError
from edgesim.report import checks
from edgesim.verdict import Check, Verdict

_CODES: dict[Verdict, ExitCode] = {
    "PASS": ExitCode.OK, "FAIL": ExitCode.FAIL, "INCONCLUSIVE": ExitCode.INCONCLUSIVE
}  # fmt: skip


def deliver(found: Check, *, junit: Path | None, as_json: bool) -> ExitCode:
    """Show it, write JUnit XML where asked for; the exit code that stands for it.

    Raises:
        ResultError: the file cannot be written.
    """
    if junit is not None:
        try:
            junit.write_text(checks.junit(found), encoding="utf-8")
        except OSError as error:
            raise ResultError(f"{junit}: cannot write: {error.strerror}") from error
    if as_json:
        print(found.as_json(), end="")
    else:
        out.print(checks.render(found))
    return _CODES[found.verdict]
