"""What a command prints, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from edgesim.cli import _console
from edgesim.cli._tables import fact_list
from edgesim.errors import UsageError


def test_output_to_a_pipe_is_neither_folded_nor_padded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _console.show(fact_list([("fact", ("word " * 60).strip()), ("other", "x")]))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"fact   {('word ' * 60).strip()}", "other  x"]


def test_a_message_is_folded_between_words_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "this host takes longer than the board: it cannot be slowed down " * 2
    _console.say(message)
    assert capsys.readouterr().err.rstrip("\n") == message
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=50, soft_wrap=True, color_system=None)
    monkeypatch.setattr(_console, "err", terminal)
    _console.say(message)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert " ".join(lines) == message.rstrip()
    assert max(map(len, lines)) <= 50


def test_an_error_names_flags_and_its_fix_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _console.show_error(UsageError("`duration_s=-1`: too short", fix="leave `duration_s` out", log="one\ntwo"))
    assert capsys.readouterr().err.splitlines() == [
        "edgesim: --duration -1: too short",
        "  | one",
        "  | two",
        "  fix: leave --duration out",
    ]


def test_progress_names_flags_too(capsys: pytest.CaptureFixture[str]) -> None:
    _console.listener().note("`execution=scaled`: not possible")
    _console.listener(quiet=True).note("`execution=scaled`: not possible")
    assert capsys.readouterr().err == "edgesim: --execution scaled: not possible\n"


def test_each_line_of_a_message_of_several_is_folded_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=20, soft_wrap=True, color_system=None)
    monkeypatch.setattr(_console, "err", terminal)
    _console.say("board.yaml:3: first\nboard.yaml:4: second")
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "board.yaml:3: first",
        "board.yaml:4: second",
    ]
