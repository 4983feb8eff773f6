"""What a command prints: its output on stdout, progress and errors on stderr.

Output on a terminal fits the terminal. Elsewhere, as in a pipe, a file or a CI log, lines are as long as they are:
nothing is folded, cut or padded.
"""

import json
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderHook, RenderResult
from rich.control import Control
from rich.segment import Segment
from rich.status import Status

from edgesim.cli._flags import with_flags
from edgesim.errors import EdgesimError
from edgesim.printable import harmless, printable
from edgesim.progress import Listener, Progress, Silent
from edgesim.units import format_estimate, format_seconds

# Brackets are shapes here, not styles.
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
out = Console(highlight=False, markup=False)
# For the line that moves while a stage lasts, which is folded between words.
_moving = Console(stderr=True, highlight=False, markup=False)
# So wide that no line is folded.
_unfolded = Console(highlight=False, markup=False, width=10_000)


class _Harmless:
    """A renderable without what a terminal or a log would obey in its text: Rich's own styles and moves stay."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(harmless(segment.text), segment.style)


class OnlyHarmless(RenderHook):
    """Names in files of strangers reach every line that is printed, so every line is looked at."""

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        return [each if isinstance(each, Control) else _Harmless(each) for each in renderables]


for _console in (err, out, _unfolded):
    _console.push_render_hook(OnlyHarmless())


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


# A stage without known progress shows its seconds after this many of them.
_SHOW_SECONDS_S = 10
_BAR_LETTERS = 20
# A log gets a line of a long stage this often.
_LINE_S = 30.0


def _left(progress: Progress) -> str:
    if progress.left_s is None:
        return ""
    return f"{'at most' if progress.at_most else 'about'} {format_estimate(progress.left_s)} left"


class _Spinner:
    """Stages on a terminal: one line that moves, with a bar where the progress is known, and a line for each's end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._status: Status | None = None
        self._clock, self._begun_s, self._doing = clock, 0.0, ""

    def begin(self, stage: str, doing: str) -> None:
        self._stop()
        self._begun_s, self._doing = self._clock(), printable(with_flags(doing))
        self._status = _moving.status(f"{self._doing} …")
        self._status.start()

    def advance(self, progress: Progress) -> None:
        status, seconds = self._status, int(self._clock() - self._begun_s)
        if status is None:
            return
        bar = ""
        if progress.share is not None:
            full = round(_BAR_LETTERS * progress.share)
            bar = f"{'━' * full}{'╌' * (_BAR_LETTERS - full)} {100 * progress.share:.0f} %"
        elapsed = f"{seconds} s" if not progress.words and seconds >= _SHOW_SECONDS_S else ""
        words = ", ".join(filter(None, (progress.words, _left(progress), elapsed)))
        status.update(" ".join(filter(None, (f"{self._doing} …", bar, words))))

    def note(self, text: str) -> None:
        say(text, style="dim")

    def end(self, stage: str, seconds: float) -> None:
        self._stop()
        say(f"{stage:<26} {format_seconds(seconds):>8}", style="dim")

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Lines:
    """Stages in a log: a line when a stage begins, one every 30 seconds while it lasts, and one when it ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._begun_s, self._last_s, self._stage = clock, 0.0, 0.0, ""

    def begin(self, stage: str, doing: str) -> None:
        self._begun_s = self._last_s = self._clock()
        self._stage = stage
        self._print(doing)

    def advance(self, progress: Progress) -> None:
        now_s = self._clock()
        if now_s - self._last_s < _LINE_S:
            return
        self._last_s = now_s
        words = filter(None, (progress.words, f"{now_s - self._begun_s:.0f} s so far", _left(progress)))
        self._print(f"{self._stage}: {', '.join(words)}")

    def note(self, text: str) -> None:
        self._print(text)

    def end(self, stage: str, seconds: float) -> None:
        self._print(f"{stage}: {format_seconds(seconds)}")

    def _print(self, text: str) -> None:
        print(f"edgesim: {printable(with_flags(text))}", file=sys.stderr, flush=True)


def listener(*, quiet: bool = False) -> Listener:
    """Return the listener that fits where stderr goes; a quiet one shows nothing."""
    if quiet:
        return Silent()
    return _Spinner() if err.is_terminal else _Lines()


def command(text: str) -> None:
    """Print a line that a CI log is meant to obey, on stderr."""
    print(text, file=sys.stderr, flush=True)


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
