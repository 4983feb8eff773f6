"""What people watch while they wait: a spinner on a terminal, plain lines in a log. All of it on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

from rich.console import Console
from rich.status import Status

from edgesim.cli._flags import with_flags
from edgesim.errors import EdgesimError
from edgesim.progress import Listener
from edgesim.units import format_seconds

Given = TypeVar("Given")


class _Lasting:
    """Standard output that outlives its reader and a full disk: a verdict is an exit code, too, whoever reads it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        return self._try(lambda: self._stream.write(text)) or 0

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], Given]) -> Given | None:
        try:
            return act()
        except OSError as error:
            self.lost = self.lost or error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting_output() -> Iterator[Callable[[], str | None]]:
    """Output that cannot be written ends nothing; says afterwards why it could not, but of a reader that had enough."""
    before, lasting = sys.stdout, _Lasting(sys.stdout)

    def lost() -> str | None:
        lasting.flush()
        ours = lasting.lost is not None and not isinstance(lasting.lost, BrokenPipeError)
        return lasting.lost.strerror if ours and lasting.lost is not None else None

    sys.stdout = cast(TextIO, lasting)
    try:
        yield lost
    finally:
        sys.stdout = before


# Rich would fold a path or a command in the middle where the terminal ends; errors are to be copied from.
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
out = Console(highlight=False, markup=False)  # brackets are shapes here, not styles


class _Spinner:
    """Stages on a terminal: one line that moves, and a finished line for each."""

    def __init__(self) -> None:
        self._status: Status | None = None

    def begin(self, stage: str, doing: str) -> None:
        self._stop()
        self._status = err.status(f"{doing} …")
        self._status.start()

    def note(self, text: str) -> None:
        err.print(text, style="dim")

    def end(self, stage: str, seconds: float) -> None:
        self._stop()
        err.print(f"{stage:<18} {format_seconds(seconds):>8}", style="dim")

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Lines:
    """Stages in a log: a line when one begins, one when it ends."""

    def begin(self, stage: str, doing: str) -> None:
        print(f"edgesim: {doing}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        print(f"edgesim: {text}", file=sys.stderr, flush=True)

    def end(self, stage: str, seconds: float) -> None:
        print(f"edgesim: {stage}: {format_seconds(seconds)}", file=sys.stderr, flush=True)


def listener() -> Listener:
    """The one that fits where stderr goes."""
    return _Spinner() if err.is_terminal else _Lines()


def show_error(error: EdgesimError) -> None:
    """One line of what is wrong, one of what mends it, and the end of the log that belongs to it."""
    err.print(f"edgesim: {with_flags(error.problem)}", style="red")
    if error.log:
        for line in error.log.splitlines():
            err.print(f"  | {line}")
    if error.fix:
        err.print(f"  fix: {with_flags(error.fix)}")


def print_json(facts: Any) -> None:
    """Facts for programs, on stdout."""
    print(json.dumps(facts, indent=2))
