"""What a command prints: its output on stdout, progress and errors on stderr.

Output on a terminal fits the terminal. Elsewhere, as in a pipe, a file or a CI log, lines are as long as they are:
nothing is folded, cut or padded.
"""

import json
import sys
import textwrap
from typing import Any

from rich.console import Console, RenderableType
from rich.status import Status

from edgesim.cli._flags import with_flags
from edgesim.errors import EdgesimError
from edgesim.progress import Listener, Silent
from edgesim.units import format_seconds

# Brackets are shapes here, not styles.
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
out = Console(highlight=False, markup=False)
# So wide that no line is folded.
_unfolded = Console(highlight=False, markup=False, width=10_000)


def show(renderable: RenderableType = "", *, style: str | None = None) -> None:
    """Print on stdout, at the width of a terminal; elsewhere unfolded and without blanks at the ends of lines."""
    if out.is_terminal:
        out.print(renderable, style=style)
        return
    with _unfolded.capture() as captured:
        _unfolded.print(renderable, style=style)
    print("\n".join(line.rstrip() for line in captured.get().split("\n")), end="")


def show_path(label: str, path: object) -> None:
    """Print ``label: path`` on stdout, in one line that can be copied."""
    out.print(f"{label}: {path}", soft_wrap=True)


def say(message: str, *, style: str | None = None) -> None:
    """Print a message on stderr. A terminal gets it folded between words; options are named by their flags."""
    text = with_flags(message)
    if err.is_terminal:
        # Rich would break a word that is longer than a line, such as a path.
        fold = textwrap.TextWrapper(err.width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
        text = "\n".join(fold.fill(line) for line in text.split("\n"))
    err.print(text, style=style)


class _Spinner:
    """Stages on a terminal: one line that moves, and a finished line for each."""

    def __init__(self) -> None:
        self._status: Status | None = None

    def begin(self, stage: str, doing: str) -> None:
        self._stop()
        self._status = err.status(f"{with_flags(doing)} …")
        self._status.start()

    def note(self, text: str) -> None:
        say(text, style="dim")

    def end(self, stage: str, seconds: float) -> None:
        self._stop()
        say(f"{stage:<18} {format_seconds(seconds):>8}", style="dim")

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Lines:
    """Stages in a log: a line when a stage begins, and a line when it ends."""

    def begin(self, stage: str, doing: str) -> None:
        self._print(doing)

    def note(self, text: str) -> None:
        self._print(text)

    def end(self, stage: str, seconds: float) -> None:
        self._print(f"{stage}: {format_seconds(seconds)}")

    def _print(self, text: str) -> None:
        print(f"edgesim: {with_flags(text)}", file=sys.stderr, flush=True)


def listener(*, quiet: bool = False) -> Listener:
    """Return the listener that fits where stderr goes; a quiet one shows nothing."""
    if quiet:
        return Silent()
    return _Spinner() if err.is_terminal else _Lines()


def show_error(error: EdgesimError) -> None:
    """Print one line that says what is wrong, the end of the log that belongs to it, and one line that says what to do.

    The log and the fix are not folded: both are to be copied.
    """
    say(f"edgesim: {error.problem}", style="red")
    for line in error.log.splitlines():
        err.print(f"  | {line}")
    if error.fix:
        err.print(f"  fix: {with_flags(error.fix)}")


def print_json(facts: Any) -> None:
    """Print facts for programs on stdout."""
    print(json.dumps(facts, indent=2))
