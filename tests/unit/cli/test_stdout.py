"""What a command does where nobody can read what it writes: it ends with its own exit code."""

import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from edgesim.cli._stdout import lasting_output
from tests.support.command_line import exit_code_of


@pytest.fixture(params=["a full disk", "a reader that has gone"])
def unwritable(request: pytest.FixtureRequest) -> Iterator[TextIO]:
    """Return a stream that cannot be written."""
    if request.param == "a full disk":
        stream = open("/dev/full", "w")  # noqa: PTH123, SIM115 (closed below)
    else:
        reader, writer = os.pipe()
        os.close(reader)
        stream = os.fdopen(writer, "w")
    yield stream
    stream.close()


def test_messages_that_nobody_can_read_do_not_end_a_command(
    unwritable: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", unwritable)
    with lasting_output():
        for _ in range(3):
            sys.stderr.write("x" * 100_000)
            sys.stderr.flush()
    assert sys.stderr is unwritable


def test_refusal_that_nobody_can_read_keeps_its_exit_code(unwritable: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", unwritable)
    assert exit_code_of(("predict", "no-such-board", "digits")) == 2
