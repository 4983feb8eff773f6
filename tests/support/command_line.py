"""The command line inside the test's own process: quick, for what it refuses or reads and writes.

What it does as a program (signals, processes, standard output) is tested through `tests.integration.conftest.edgesim`.
"""

import contextlib
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from edgesim.cli.__main__ import main


def exit_code_of(arguments: Sequence[str | Path]) -> int:
    """Run ``edgesim ARGUMENTS`` in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch, _same_signal_handlers():
        patch.setattr(sys, "argv", ["edgesim", *map(str, arguments)])
        patch.setenv("COLUMNS", "80")  # as in a pipe, whatever the terminal that the tests run in
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def edgesim_here(*arguments: str | Path) -> "CompletedProcess[str]":
    """Run ``edgesim ARGUMENTS`` in this process and return its exit code and all that it printed."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = exit_code_of(arguments)
    return CompletedProcess([str(word) for word in arguments], code, stdout.getvalue(), stderr.getvalue())


@contextmanager
def _same_signal_handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
