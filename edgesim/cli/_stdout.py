"""Standard output and standard error that outlive their readers and a full disk."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar, cast

from edgesim.printable import harmless

Value = TypeVar("Value")

# Bold, dim, italic, underlined, and the colours that are legible on any background.
_COLOURS = re.compile(r"(\x1b\[(?:[0-4]|3[1-6]|9[1-6]|;)*m)")


class _LastingStream:
    """A stream whose first failed write is remembered in `failure`, and after which everything is discarded.

    A verdict is an exit code, too: a command must end with its code even if nobody can read its output.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        return self._try(lambda: self._stream.write(text)) or 0

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], Value]) -> Value | None:
        try:
            return action()
        except OSError as error:
            self.failure = self.failure or error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _HarmlessStream(_LastingStream):
    """Makes text of strangers harmless on its way (`edgesim.printable`); the colours of edgesim's own reports pass."""

    def write(self, text: str) -> int:
        parts = _COLOURS.split(text)
        parts[::2] = map(harmless, parts[::2])
        return super().write("".join(parts))


@contextmanager
def lasting_output() -> Iterator[Callable[[], str | None]]:
    """Within the block, output that cannot be written does not end the program: neither results nor messages.

    Yields:
        A function that returns why results were lost; None if none were lost, or if the reader closed its pipe.
    """
    before, lasting = (sys.stdout, sys.stderr), _HarmlessStream(sys.stdout)

    def lost() -> str | None:
        lasting.flush()
        failure = lasting.failure
        return failure.strerror if failure is not None and not isinstance(failure, BrokenPipeError) else None

    sys.stdout = cast(TextIO, lasting)
    sys.stderr = cast(TextIO, _LastingStream(sys.stderr))
    try:
        yield lost
    finally:
        sys.stdout, sys.stderr = before
