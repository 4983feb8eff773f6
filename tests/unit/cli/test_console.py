"""What a command prints, on a terminal and elsewhere."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgesim.cli import _console, main
from edgesim.cli._tables import fact_list
from edgesim.cli.down import not_up
from edgesim.errors import ExitCode, ResultError, UsageError
from edgesim.gates.gate import gate
from edgesim.progress import Progress
from edgesim.results.run_result import RunResult


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
    message = "this host takes longer than the board: it cannot be slowed down, " * 2 + "ever"
    _console.say(message)
    assert capsys.readouterr().err.rstrip("\n") == message
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=50, soft_wrap=True, color_system=None)
    monkeypatch.setattr(_console, "err", terminal)
    _console.say(message)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert " ".join(lines) == message
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


def test_a_log_gets_a_line_of_a_long_stage_every_30_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = [0.0]
    lines = _console._Lines(clock=lambda: now_s[0])
    lines.begin("load", "server at 2/s")
    for second in range(1, 70):
        now_s[0] = float(second)
        lines.advance(Progress(f"{second} of 662 requests", share=second / 662, left_s=600.0 - second))
    lines.begin("ready", "waiting")
    now_s[0] = 110.0
    lines.advance(Progress())
    assert capsys.readouterr().err.splitlines() == [
        "edgesim: server at 2/s",
        "edgesim: load: 30 of 662 requests, 30 s so far, about 10 min left",
        "edgesim: load: 60 of 662 requests, 60 s so far, about 9 min left",
        "edgesim: waiting",
        "edgesim: ready: 41 s so far",
    ]


def test_a_terminal_shows_a_bar_only_where_the_share_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=60, color_system=None, markup=False, highlight=False)
    monkeypatch.setattr(_console, "_moving", terminal)
    monkeypatch.setattr(_console, "err", terminal)
    now_s = [0.0]
    spinner = _console._Spinner(clock=lambda: now_s[0])
    shown = []

    def words() -> str:
        assert spinner._status is not None
        return str(spinner._status.status)

    spinner.begin("load", "server at 2/s")
    shown.append(words())
    spinner.advance(Progress("331 of 662 requests", share=0.5, left_s=170.0, at_most=True))
    shown.append(words())
    spinner.begin("ready", "waiting for the server")
    now_s[0] = 12.0
    spinner.advance(Progress())
    shown.append(words())
    spinner.end("ready", 12.0)
    spinner.advance(Progress("late"))
    assert shown == [
        "server at 2/s …",
        "server at 2/s … ━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌ 50 % 331 of 662 requests, at most 3 min left",
        "waiting for the server … 12 s",
    ]


def test_each_line_of_a_message_of_several_is_folded_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=20, soft_wrap=True, color_system=None)
    monkeypatch.setattr(_console, "err", terminal)
    _console.say("board.yaml:3: first\nboard.yaml:4: second")
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == [
        "board.yaml:3: first",
        "board.yaml:4: second",
    ]


def test_ctrl_c_does_not_claim_that_volumes_are_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", interrupted)
    assert main._exit_code([]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "edgesim: interrupted; nothing that was started still runs\n"


@pytest.mark.parametrize(
    ("words", "problem", "fix"),
    [
        ("run jetson-nano digits --requests abc", "--requests 'abc': must be a whole number", "edgesim run --help"),
        ("run jetson-nano digits --qps abc", "--qps 'abc': must be a number", "edgesim run --help"),
        ("predict jetson-nano digits --threads 0", "--threads '0': must be 1 or more", "edgesim predict --help"),
        ("predict jetson-nano", "Missing argument 'MODEL'.", "edgesim predict jetson-nano MODEL; edgesim models list"),
        ("check jetson-nano", "Missing argument 'MODEL'.", "edgesim check jetson-nano MODEL; edgesim models list"),
        ("models show", "Missing argument 'MODEL'.", "edgesim models show MODEL; edgesim models list"),
        ("check x86-gateway digits --engine local --reference no.onnx", "--reference: no.onnx: no such model file", ""),
        ("report d", "d: a directory without cells of a sweep, not a result file", "edgesim run PROFILE MODEL -o"),
        ("report s", "s: contains no result of a sweep", "edgesim sweep … -o s"),
        ("history add s", "s: the directory of a sweep, not a result file", "edgesim report s shows the sweep"),
        (
            "gate m.onnx --rule memory_peak_bytes<=1MiB",
            "m.onnx: an ONNX model, not a result file",
            "edgesim run PROFILE",
        ),
        ("gate m.bin --rule memory_peak_bytes<=1MiB", "m.bin: not a result file: the file is no text (UTF-8)", ""),
        ("sweep --model m/* --profile jetson-nano -o o", "no model matches 'm/*'", "edgesim models build --models m"),
        ("sweep --model none* --profile jetson-nano -o o", "no model matches 'none*'", "edgesim models list"),
    ],
)
def test_a_wrong_word_is_named_with_what_to_give(
    words: str,
    problem: str,
    fix: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in ("d", "s/cells", "m"):
        Path(directory).mkdir(parents=True)
    for file in ("m.onnx", "m.bin"):
        Path(file).write_bytes(b"\x08\x0a\x12\xff\xfe")
    assert main._exit_code(words.split()) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert f"edgesim: {problem}" in shown
    assert f"  fix: {fix}" in shown or not fix


def test_a_baseline_that_is_not_there_is_named_by_its_option(result: RunResult) -> None:
    with pytest.raises(ResultError, match="`baseline=nobase`: no such file or directory") as caught:
        gate(result, ["memory_peak_bytes <= 1GiB"], "nobase")
    assert "edgesim baseline save" in caught.value.fix


def test_a_stack_that_is_not_up_is_told_beside_those_that_are() -> None:
    assert not_up("shop", [], has_volumes=False).problem == "stack shop is not up; no stack is up"
    assert not_up("shop", ["b", "a"], has_volumes=False).problem == "stack shop is not up; stacks that are up: a, b"
    assert not_up("shop", [], has_volumes=True).fix == "edgesim down shop --volumes"
