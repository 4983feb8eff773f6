"""The plain tables of commands: every cell is shown in full, however narrow the terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from edgesim.cli import _console
from edgesim.cli._tables import text_table
from edgesim.cli.main import _run

IMAGE = "registry.example.com/an/organisation/with-a-long-name/detector:2026.11.26-arm64"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Replace standard output by a terminal of 80 columns; return what it shows."""
    stream = io.StringIO()
    monkeypatch.setattr(_console, "out", Console(file=stream, force_terminal=True, width=80, color_system=None))
    return stream


def test_cells_are_neither_cut_nor_padded_on_a_terminal(terminal: io.StringIO) -> None:
    rows = [["service", *(f"{letter * 25}" for letter in "abc"), "12"], ["x", "-", "-", "-", "3"]]
    _console.show(text_table(("name", "one", "two", "three", "count"), rows, figures=("count",)))
    lines = terminal.getvalue().splitlines()
    assert set(terminal.getvalue().split()) == {"name", "one", "two", "three", "count", *rows[0], *rows[1]}
    assert all(line == line.rstrip() and len(line) <= 80 for line in lines)


def test_a_long_name_loses_its_middle_and_a_figure_nothing(terminal: io.StringIO) -> None:
    name = f"/encoder/{'layer/' * 70}MatMul"
    rows = [[name, "MatMul", "1x384x1536", "46123.45", "100 %"], ["short", "Add", "1x10", "0.01", "0 %"]]
    heads = ("node", "operation", "gives", "ms", "share")
    table = text_table(heads, rows, figures=("ms", "share"), shortened=("node",))
    _console.show(table)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 3, "one line a row"
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("/encoder/")
    assert lines[1].split()[1:] == [*rows[0][1:-1], "100", "%"]
    assert "…" in lines[1]
    assert lines[1].split()[0].endswith("MatMul")


def test_each_part_of_a_wide_table_says_what_its_rows_are_about(terminal: io.StringIO) -> None:
    rows = [["jetson-nano", f"{threads}", *(letter * 30 for letter in "abc")] for threads in (1, 4)]
    _console.show(text_table(("profile", "threads", "one", "two", "three"), rows, keys=2))
    parts = [part.splitlines() for part in terminal.getvalue().split("\n\n")]
    assert [part[0].split() for part in parts] == [
        ["profile", "threads", "one"],
        ["profile", "threads", "two"],
        ["profile", "threads", "three"],
    ]
    assert [row.split()[:2] for part in parts for row in part[1:]] == [["jetson-nano", "1"], ["jetson-nano", "4"]] * 3


def test_a_name_keeps_its_middle_where_the_table_needs_as_many_parts_without_it(terminal: io.StringIO) -> None:
    rows = [["jetson-orin-nano-16gb", *(letter * 50 for letter in "abc")]]
    _console.show(text_table(("profile", "one", "two", "three"), rows, shortened=("profile",)))
    assert terminal.getvalue().count("jetson-orin-nano-16gb") == 3


def test_a_long_name_is_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    name = f"/encoder/{'layer/' * 70}MatMul"
    _console.show(text_table(("node", "ms"), [[name, "1.00"]], figures=("ms",), shortened=("node",)))
    assert name in capsys.readouterr().out


def test_no_command_uses_tables_that_cut_figures() -> None:
    package = Path(_console.__file__).parents[1]
    cutting = [path for path in package.rglob("*.py") if "rich.table" in path.read_text()]
    assert not cutting, "edgesim.cli._tables has tables and lists of facts that fit any terminal"


def test_a_long_image_is_in_the_table_of_a_stack_in_full(
    terminal: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    file = tmp_path / ("long-" * 20 + "name.yaml")
    services = f"services:\n  detector: {{image: '{IMAGE}'}}\n  second: {{image: '{IMAGE}', after: [detector]}}\n"
    file.write_text(f"name: shop\nprofile: jetson-nano\n{services}")
    assert _run(["stack", "validate", str(file)]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out + terminal.getvalue()
    assert shown.replace("\n", "").count(IMAGE) == 2
    assert "detector started" in shown
    assert any(line.startswith(f"{file}: stack shop on ") for line in shown.splitlines()), "a path is not folded"


@pytest.mark.parametrize(
    ("facts", "heads"),
    [
        ("{models: [digits]}", "service board made from after memory CPUs"),
        ("{models: [digits], target: cpu}", "service board made from target after memory CPUs"),
        ("{models: [digits], gpus: all}", "service board made from GPUs after memory CPUs"),
    ],
)
def test_table_of_a_stack_says_what_runs_the_models_where_its_file_does(
    facts: str, heads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    file = tmp_path / "stack.yaml"
    file.write_text(f"name: shop\nprofile: jetson-nano\nservices:\n  detector: {facts}\n")
    assert _run(["stack", "validate", str(file)]) == 0, capsys.readouterr().err
    assert heads in {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
