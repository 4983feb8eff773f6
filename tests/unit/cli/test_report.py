"""``edgesim report``, and what a verdict writes for CI: files, annotations, the step's summary."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgesim.cli import _github
from edgesim.cli._verdict import deliver
from edgesim.reports.formats import markdown
from edgesim.results.run_result import RunResult
from edgesim.results.sections import HOST_CORE, DeviceTimeSection, ValiditySection
from edgesim.results.verdict import Item, Verdict
from tests.support import results
from tests.support.command_line import exit_code_of


@pytest.fixture(autouse=True)
def _outside_of_github_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture
def file(result: RunResult, tmp_path: Path) -> Path:
    result.write(tmp_path / "r.json")
    return tmp_path / "r.json"


def edgesim(*arguments: str | Path) -> int:
    return exit_code_of(arguments)


def test_one_command_writes_every_format(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [file.with_name(f"report.{suffix}") for suffix in ("html", "md", "json", "xml", "csv")]
    assert edgesim("report", file, *(word for path in outputs for word in ("-o", path))) == 0
    assert all(path.stat().st_size > 50 for path in outputs)
    assert capsys.readouterr().out.count("report: ") == 5


def test_without_a_file_the_report_goes_to_the_terminal(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgesim("report", file) == 0
    assert "never to be compared" in capsys.readouterr().out


@pytest.mark.parametrize("requests", [200, 0])
def test_a_stack_is_reported_in_every_format_and_on_the_terminal(
    requests: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.of_a_stack(requests=requests).write(tmp_path / "s.json")
    outputs = {suffix: tmp_path / f"report.{suffix}" for suffix in ("html", "md", "json", "xml", "csv")}
    assert edgesim("report", tmp_path / "s.json", *(word for path in outputs.values() for word in ("-o", path))) == 0
    assert edgesim("report", tmp_path / "s.json") == 0
    text = {kind: path.read_text() for kind, path in outputs.items()} | {"terminal": capsys.readouterr().out}
    facts = ("nothing killed", "detector was, once")
    assert all(fact in text[kind] for kind in ("html", "md", "json", "xml", "terminal") for fact in facts)
    times = [kind for kind in ("html", "md", "json", "terminal") if "never to be compared" in text[kind]]
    assert times == (["html", "md", "json", "terminal"] if requests else [])
    assert len(text["csv"].splitlines()) == requests + 1
    rows = [line for line in text["md"].splitlines() if line.startswith(("| detector", "| app", "| the board"))]
    assert [row.count(" | ") for row in rows] == [8, 8, 8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("r.json", "-o", "r.pdf"), "r.pdf: this is not the suffix of a report"),
        (("r.json", "-o", "r.json"), "-o r.json: is also an input"),
        (("r.json", "-o", "nowhere/r.html"), "its directory does not exist"),
        (("missing.json", "-o", "r.html"), "missing.json: No such file"),
        (("r.json", "r.json", "-o", "r.xml"), "no JUnit form"),
        (("r.json", "other.json", "-o", "r.xml"), "no JUnit form"),
        (("r.json", "other.json", "r.json", "--force"), "--force: compares the changes of two results, not of 3"),
    ],
)
def test_an_impossible_report_is_an_error_of_one_line_and_leaves_no_file(
    file: Path,
    result: RunResult,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(file.parent)
    board = result.profile.model_copy(update={"name": "other-board"})
    result.model_copy(update={"profile": board}).write(Path("other.json"))
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    assert edgesim("report", *arguments) == 2
    assert words in capsys.readouterr().err.splitlines()[0]
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_without_plotly_a_page_says_what_to_install_and_markdown_works(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("edgesim.reports.formats.html")]:
        monkeypatch.delitem(sys.modules, name)
    assert edgesim("report", file, "-o", file.with_suffix(".html")) == 3
    assert "pip install 'edgesim[report]'" in capsys.readouterr().err
    assert edgesim("report", file, "-o", file.with_suffix(".md")) == 0


def test_a_gate_writes_markdown_junit_and_github_annotations(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = file.with_name("summary.md")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    comment, cases = file.with_suffix(".md"), file.with_suffix(".xml")
    code = edgesim(
        "gate", file, "--rule", "memory_peak_bytes <= 1MiB", "--markdown", comment, "--junit", cases, "--json"
    )
    assert code == 1
    output = capsys.readouterr()
    assert json.loads(output.out)["verdict"] == "FAIL", "stdout is for the program alone"
    assert "::error title=edgesim FAIL%3A memory_peak_bytes <= 1MiB::128.0 MiB (134,217,728 bytes)" in output.err
    assert "::warning title=edgesim INCONCLUSIVE%3A the run::" in output.err
    assert comment.read_text().startswith("### ❌ FAIL: net on NVIDIA Jetson Nano")
    assert comment.read_text() in summary.read_text()
    assert 'name="edgesim gate jetson-nano net"' in cases.read_text()


def test_compare_writes_markdown_with_the_headlines_and_every_change(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comment, summary = file.with_suffix(".md"), file.with_name("summary.md")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summary.write_text("before\n")
    assert edgesim("compare", file, file, "--markdown", comment) == 0
    assert "| memory\\_peak\\_bytes | +0.0 % | 128.0 MiB | 128.0 MiB |" in comment.read_text()
    assert comment.read_text().count("**Device time not known**") == 2
    assert summary.read_text() == f"before\n{comment.read_text()}\n"


@pytest.fixture
def boards(result: RunResult, tmp_path: Path) -> list[Path]:
    """Results of one model on three boards; the time of the last is not known."""
    files = []
    for name, ms in (("nano", 45.9), ("pi-5", 19.3), ("zero-2", None)):
        profile = result.profile.model_copy(update={"name": name, "mode": None})
        time = result.device_time_ms
        if ms is not None:
            notes = (f"an extrapolation of {name}",)
            time = DeviceTimeSection(p50=ms, low=0.7 * ms, high=1.5 * ms, method="predicted", notes=notes)
        files.append(tmp_path / f"{name}.json")
        result.model_copy(update={"profile": profile, "device_time_ms": time}).write(files[-1])
    return files


@pytest.mark.parametrize("command", ["compare", "report"])
def test_different_boards_are_put_side_by_side_without_being_refused(
    boards: list[Path], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgesim(command, *boards) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["net", "on", "3", "boards"] in lines
    assert [line[:5] for line in lines if line[:1] == ["pi-5"]] == [["pi-5", "19.3", "13.5", "to", "29.0"]]
    assert [line[:3] for line in lines if line[:1] == ["zero-2"]] == [["zero-2", "-", "-"]]
    assert edgesim(command, *boards[:2], "--quiet") == 0
    assert capsys.readouterr().out == "net on 2 boards: device time nano 45.9 ms, pi-5 19.3 ms\n"


def test_every_format_has_a_row_for_each_board_and_says_what_is_uncertain(boards: list[Path]) -> None:
    outputs = {suffix: boards[0].with_name(f"o.{suffix}") for suffix in ("html", "md", "json", "csv")}
    assert edgesim("report", *boards, *(word for path in outputs.values() for word in ("-o", path))) == 0
    text = {kind: path.read_text() for kind, path in outputs.items()}
    for name in ("nano", "pi-5", "zero-2"):
        assert all(name in each for each in text.values())
    for words in ("pi-5: an extrapolation of pi-5", "zero-2: device time not known: nothing is predicted"):
        assert all(words.lower() in text[kind].lower() for kind in ("html", "md", "json")), words
    rows = list(csv.DictReader(text["csv"].splitlines()))
    assert [(row["result"], row["device_time_p50_ms"], row["memory_peak_bytes"]) for row in rows] == [
        ("nano", "45.9", "134217728"),
        ("pi-5", "19.3", "134217728"),
        ("zero-2", "", "134217728"),
    ]
    assert [row["profile"] for row in json.loads(text["json"])["results"]] == ["nano", "pi-5", "zero-2"]
    assert text["html"].count('data-head="memory peak"') == 3, "a phone has the head beside each figure"


def test_the_time_of_a_profile_with_the_core_of_its_host_is_called_this_hosts_beside_boards(
    boards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = RunResult.read(boards[0])
    profile = gateway.profile.model_copy(update={"name": "gateway", "core": HOST_CORE})
    gateway.model_copy(update={"execution": "native", "profile": profile}).write(boards[2])
    assert edgesim("compare", *boards) == 0
    assert "gateway, native: the time is this host's time, not a board's" in capsys.readouterr().out


def test_models_on_one_board_are_named_by_their_models_and_equal_names_by_their_files(
    result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = result.model.model_copy(update={"name": "other", "signature": "x FP32[1] → y FP32[1]"})
    result.write(Path("a.json"))
    result.write(Path("b.json"))
    result.model_copy(update={"model": other}).write(Path("c.json"))
    assert edgesim("compare", "a.json", "c.json", "--json") == 0
    compared = json.loads(capsys.readouterr().out)
    assert [row["result"] for row in compared["results"]] == ["net", "other"]
    assert compared["different"] == []
    assert edgesim("compare", "a.json", "b.json", "c.json", "--json") == 0
    named = [row["result"] for row in json.loads(capsys.readouterr().out)["results"]]
    assert named == ["net (a.json)", "net (b.json)", "other"]


def test_results_of_one_board_that_are_not_alike_say_what_differs(
    result: RunResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    result.write(a)
    for update, words in (
        ({"host": result.host.model_copy(update={"cpu": "another"})}, "host CPU: x and another"),
        ({"model": result.model.model_copy(update={"signature": "z → y"})}, "model's signature: none and z → y"),
        ({"profile": result.profile.model_copy(update={"sha256": "another"})}, "profile's facts: ab and another"),
    ):
        result.model_copy(update=update).write(b)
        assert edgesim("compare", a, b) == 0
        assert f"not like with like: {words}" in capsys.readouterr().out
        assert edgesim("compare", a, b, "--force") == 0
        assert f"NOT COMPARABLE: {words}" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["md", "html", None])
def test_sides_of_a_comparison_are_told_apart_by_file_and_digest(
    suffix: str | None,
    result: RunResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, digest in (("before", "1a2b3c4d5e6f7890"), ("after", "99887766554433221100")):
        model = result.model.model_copy(update={"sha256": digest, "origin": f"{name} (8882064a1b2c)"})
        result.model_copy(update={"model": model}).write(Path(f"{name}.json"))
    written = ("-o", f"c.{suffix}") if suffix is not None else ()
    assert edgesim("report", "before.json", "after.json", *written) == 0
    shown = Path(f"c.{suffix}").read_text() if suffix is not None else capsys.readouterr().out
    shown = " ".join(shown.replace("\\", "").split())
    assert (
        "before.json: net on NVIDIA Jetson Nano (MAXN), emulated; model net of before (8882064a1b2c), sha256" in shown
    )
    for digest in ("sha256 1a2b3c4d5e6f;", "sha256 998877665544;"):
        assert digest in shown


def test_a_gate_names_its_sides_by_file_and_digest(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = file.with_suffix(".md"), file.with_suffix(".xml")
    rule = ("--rule", "memory_peak_bytes: +5 %", "--baseline", file, "--markdown", outputs[0], "--junit", outputs[1])
    edgesim("gate", file, *rule)
    shown = " ".join(capsys.readouterr().out.split())
    assert "candidate" in shown
    for text in (shown, outputs[0].read_text().replace("\\", ""), outputs[1].read_text()):
        assert text.count("net, sha256 cd") == 2
        assert text.count(str(file)) == 2


def checked(finding: str) -> Verdict:
    return Verdict(
        created="2026-01-02T03:04:05+00:00",
        edgesim_version="0.1.0",
        profile="p",
        board="Board",
        model="net",
        execution="native",
        items=(
            Item(name="good, so: far", verdict="PASS", finding="1"),
            Item(name="bad, so: far", verdict="FAIL", finding=finding),
        ),
    )


def test_an_annotation_is_one_line_whatever_the_finding_holds(capsys: pytest.CaptureFixture[str]) -> None:
    _github.tell(checked("100 % over\n::error::forged\x1b[31m"), {"GITHUB_ACTIONS": "true"})
    assert capsys.readouterr().err.splitlines() == [
        "::error title=edgesim FAIL%3A bad%2C so%3A far::100 %25 over \\u003a:error::forged\\u001b[31m"
    ]


def test_nothing_is_annotated_outside_of_github_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _github.tell(checked("x"), {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_reported_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _github.tell(checked("x"), {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "summary.md")})
    assert "the step's summary was not written" in capsys.readouterr().err


def test_the_markdown_of_a_verdict_has_a_row_for_each_item() -> None:
    lines = markdown.render_verdict(checked("a | b\nc")).splitlines()
    assert lines[0] == "### ❌ FAIL: net on Board"
    assert lines[-2:] == ["| ✅ PASS | good, so: far | 1 |", "| ❌ FAIL | bad, so: far | a \\| b c |"]


def test_bytes_that_are_not_text_break_neither_junit_nor_markdown(tmp_path: Path) -> None:
    verdict = checked("died: \udcff\ufffe\x00 end")
    deliver(verdict, junit=tmp_path / "c.xml", markdown=tmp_path / "c.md", as_json=False, command="check")
    assert ElementTree.parse(tmp_path / "c.xml").getroot().get("failures") == "1"
    assert r"died: \\udcff" in (tmp_path / "c.md").read_text()


def test_the_findings_of_a_verdict_name_flags_for_people_and_fields_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    junit, report, summary = (tmp_path / name for name in ("c.xml", "c.md", "summary.md"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    verdict = checked("needs `repeat=3` or more")
    deliver(verdict, junit=junit, markdown=report, as_json=False, command="gate")
    shown = capsys.readouterr()
    for text in (shown.out, shown.err, *(path.read_text() for path in (junit, report, summary))):
        assert "needs --repeat 3 or more" in text
        assert "repeat=3" not in text
    deliver(verdict, junit=None, as_json=True, command="gate")
    assert "needs `repeat=3` or more" in capsys.readouterr().out


def test_an_inconclusive_verdict_that_may_pass_still_says_so_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    item = Item(name="rule", verdict="INCONCLUSIVE", finding="the limit is within the band")
    verdict = checked("x").model_copy(update={"items": (item,)})
    outputs = tmp_path / "c.xml", tmp_path / "c.md"
    for ok, code in ((False, 6), (True, 0)):
        delivered = deliver(
            verdict, junit=outputs[0], markdown=outputs[1], as_json=False, inconclusive_ok=ok, command="gate"
        )
        assert delivered == code
        shown = capsys.readouterr()
        assert "INCONCLUSIVE" in shown.out
        assert "::warning title=edgesim INCONCLUSIVE" in shown.err
        assert ("the exit code is 0 because of --inconclusive-ok" in " ".join(shown.err.split())) is ok
        assert ElementTree.parse(outputs[0]).getroot().get("skipped") == "1"
        assert "INCONCLUSIVE" in outputs[1].read_text()


def test_the_defaults_file_lets_inconclusive_verdicts_pass(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(file.parent)
    valid = RunResult.read(file).model_copy(update={"validity": ValiditySection(valid=True)})
    valid.write(file)
    rule = ("gate", file.name, "--rule", "memory_peak_bytes: +5 %")
    assert edgesim(*rule) == 6
    Path("edgesim.toml").write_text("[gate]\ninconclusive-ok = true\n")
    assert edgesim(*rule) == 0
    assert "INCONCLUSIVE" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["compare", "report"])
def test_the_notes_of_a_comparison_name_flags(file: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = file.parent / "c.md"
    assert edgesim(command, file, file, "--markdown" if command == "compare" else "-o", report) == 0
    shown = " ".join(capsys.readouterr().out.split())
    # One container a side: the interval covers its requests only.
    assert "--repeat 3 or more on both sides" in report.read_text()
    assert command == "report" or "--repeat 3 or more on both sides" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gate", "r.json", "--rule", "accuracy >= 0", "--markdown", "r.json"], "--markdown r.json: is also an input"),
        (
            ["gate", "r.json", "--rule", "accuracy >= 0", "--junit", "x", "--markdown", "x"],
            "is also the file of --junit",
        ),
        (["gate", "r.json", "--baseline", "b.json", "--junit", "./b.json"], "--junit b.json: is also an input"),
        (["compare", "r.json", "b.json", "--markdown", "b.json"], "--markdown b.json: is also an input"),
    ],
)
def test_no_output_overwrites_an_input_or_another_output(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(file.parent)
    shutil.copy("r.json", "b.json")
    before = file.read_bytes()
    assert edgesim(*arguments) == 2
    assert words in capsys.readouterr().err
    assert {Path(name).read_bytes() for name in ("r.json", "b.json")} == {before}


@pytest.mark.parametrize(("rule", "code"), [("artifact_bytes <= 1KiB", 3), ("artifact_bytes <= 0", 1)])
def test_a_verdict_survives_output_that_cannot_be_written(
    result: RunResult, tmp_path: Path, rule: str, code: int
) -> None:
    result.model_copy(update={"validity": ValiditySection(valid=True)}).write(tmp_path / "r.json")
    command = [sys.executable, "-m", "edgesim.cli", "gate", str(tmp_path / "r.json"), "--rule", rule, "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.startswith("edgesim: standard output cannot be written: No space left on device")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code % 3, "")


def test_writing_a_report_keeps_links_and_pipes(file: Path) -> None:
    (file.parent / "to.md").write_text("old")
    (file.parent / "link.md").symlink_to("to.md")
    os.mkfifo(file.parent / "pipe.md")
    reader = subprocess.Popen(["cat", file.parent / "pipe.md"], stdout=subprocess.PIPE)
    assert edgesim("report", file, "-o", file.parent / "link.md", "-o", file.parent / "pipe.md") == 0
    assert reader.communicate(timeout=10)[0].startswith(b"### net on")
    assert (file.parent / "link.md").is_symlink()
    assert (file.parent / "to.md").read_text().startswith("### net on")
    assert (file.parent / "pipe.md").is_fifo()
