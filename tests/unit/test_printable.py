"""Text of strangers on terminals, in logs and in files: visible, and never obeyed."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from edgesim.cli import _console
from edgesim.cli._stdout import lasting_output
from edgesim.errors import EdgesimError, ProfileError
from edgesim.printable import harmless, printable
from edgesim.recording import Phase, Sample
from edgesim.reports.formats import csv_rows, html, junit, markdown, notebook
from edgesim.results.run_result import RunResult

EVIL = "net\x1b[2J\u202e\x9b8m\n::error title=x::forged ##vso[task.setvariable]"
OBEYED = ("\x1b", "\u202e", "\x9b", "\n::error", "##vso[")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï 出力 👩\u200d💻", "plain ünï 出力 👩\u200d💻"),
        ("a\tb\r\nc", "a b c"),
        ("\x1b[31m", r"\u001b[31m"),
        ("\u202ecod.exe", r"\u202ecod.exe"),
        ("\udcff", r"\udcff"),
        ("::error::x", r"\u003a:error::x"),
        ("std::vector [::1]:80", "std::vector [::1]:80"),
        ("##[group]", r"\u0023#[group]"),
    ],
)
def test_what_a_terminal_or_a_log_would_obey_is_written_as_json_writes_it(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_text_of_megabytes_is_shortened() -> None:
    assert len(printable("x" * 10**7)) < 2000


def test_json_stays_the_same_document() -> None:
    document = {EVIL: [EVIL, "\U000e0001"]}
    assert json.loads(harmless(json.dumps(document, ensure_ascii=False))) == document


def test_error_is_one_line_and_each_problem_of_a_file_has_its_own() -> None:
    assert len(EdgesimError(f"{EVIL}: no such file", fix=EVIL).problem.splitlines()) == 1
    error = ProfileError([f"{EVIL}:1: a", f"{EVIL}:2: b"])
    assert len(error.problem.splitlines()) == 2
    assert not any(word in f"{error}{error.fix}" for word in OBEYED)


def test_what_commands_print_is_never_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    with lasting_output():
        _console.show(EVIL)
        _console.show_path("result", EVIL)
        sys.stdout.write(f"{EVIL}\n")  # as a command prints a name
    _console.say(EVIL)
    _console.show_error(EdgesimError(EVIL, fix=EVIL, log=EVIL))
    shown = capsys.readouterr()
    assert "forged" in shown.out
    assert not any(word in shown.out + shown.err for word in OBEYED)


def test_colours_of_reports_pass_and_a_strangers_do_not() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, color_system="standard", width=80, highlight=False)
    console.push_render_hook(_console.OnlyHarmless())
    console.print("\x1b[8mhidden", style="bold red", markup=False)
    assert output.getvalue() == "\x1b[1;31m\\u001b[8mhidden\x1b[0m\n"


def test_names_in_a_result_are_markup_in_no_report(result: RunResult) -> None:
    name = f"{EVIL}<script>alert(1)</script>|`x`"
    result = result.model_copy(
        update={
            "model": result.model.model_copy(update={"name": name}),
            "profile": result.profile.model_copy(update={"title": name, "name": name}),
            "phases": (Phase(f"{EVIL}<a href='x'>", 0, 10**9),),
            "samples": (Sample(0, 1, 2, f"{EVIL}<a href='x'>"), Sample(0, 1, 2, "=cmd()")),
        }
    )
    pages = {
        "markdown": markdown.render_result(result),
        "junit": junit.render_result(result),
        "notebook": notebook.render(result).partition("<iframe")[0],
        "csv": csv_rows.render_result(result, "r.json"),
    }
    for format_, text in pages.items():
        assert not any(word in text for word in OBEYED), format_
    page = html.render_result(result, "r.json")
    assert "<script>alert" not in page
    assert "<a href='x'>" not in page
    assert "\\u003ca href" not in page
    assert "\n'=cmd()" in pages["csv"].replace("1,0,1,2,,,", "\n")


def test_file_name_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad\udcff\x1b.yaml"
    error = ProfileError(f"{path}: not valid")
    assert str(error).encode().endswith(rb"bad\udcff\u001b.yaml: not valid")
