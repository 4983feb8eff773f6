"""``edgesim history``: what it prints, writes and refuses, and its exit codes."""

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgesim.histories.history import history
from tests.support import results
from tests.support.command_line import edgesim_here
from tests.support.histories import host_of, scaled


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history whose prediction changes for the worse at its last but one result, outside of git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    kept = history("history")
    for number in range(12):
        kept.add(scaled(50.0, number=number, predicted_ms=40.0 if number < 10 else 44.0), revision=f"build {number}")
    return tmp_path / "history"


def test_show_has_a_row_for_each_figure_and_the_revision_of_each_step(kept: Path) -> None:
    done = edgesim_here("history", "show")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "net on jetson-nano:MAXN"
    (row,) = [line.split() for line in lines if line.startswith("device_time_ms.p50")]
    assert row[1:] == ["12", "44", "+10", "%", "▁▁▁▁▁▁▁▁▁▁██"]
    (step,) = [line for line in lines if "worse" in line]
    assert "+10 % (40 to 44), worse, recent; at build 10; exact" in step


def test_a_recent_step_for_the_worse_fails_a_nightly_job_and_an_old_one_does_not(kept: Path) -> None:
    done = edgesim_here("history", "show", "--fail-on-step")
    assert done.returncode == 1
    assert "recent steps for the worse: jetson-nano:MAXN net device_time_ms.p50" in done.stderr
    assert edgesim_here("history", "show", "--fail-on-step", "--recent", "1").returncode == 0
    assert edgesim_here("history", "show", "--fail-on-step", "--min-change", "11").returncode == 0
    assert edgesim_here("history", "page", "--fail-on-step", "-o", "p.html").returncode == 1
    assert Path("p.html").stat().st_size > 10_000


def test_json_is_a_line_for_each_series_and_export_writes_the_same(kept: Path) -> None:
    shown = edgesim_here("history", "show", "--json").stdout
    assert edgesim_here("history", "export", "jsonl", "-o", "h.jsonl").returncode == 0
    assert Path("h.jsonl").read_text() == shown
    lines = {line["metric"]: line for line in map(json.loads, shown.splitlines())}
    (step,) = lines["device_time_ms.p50"]["steps"]
    assert (step["revision"], step["previous_revision"], step["change_percent"]) == (
        "build 10",
        "build 9",
        pytest.approx(10),
    )
    assert [point["value"] for point in lines["latency_ms.p50"]["points"]] == [50.0] * 12


def test_prometheus_reads_the_last_figures(kept: Path) -> None:
    text = edgesim_here("history", "export", "prometheus").stdout
    samples = {
        (sample.name, sample.labels.get("metric")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["edgesim_device_time_ms_p50", None] == 44.0
    assert samples["edgesim_recent_steps", "device_time_ms.p50"] == 1.0
    assert samples["edgesim_recent_steps", "latency_ms.p50"] == 0.0


def test_github_action_benchmark_gets_figures_of_one_direction(kept: Path) -> None:
    history("history").add(host_of(scaled(60.0, number=11), "Linux 7"))
    smaller, bigger = (
        json.loads(edgesim_here("history", "export", "github-action-benchmark", "--direction", way).stdout)
        for way in ("smaller", "bigger")
    )
    names = [row["name"] for row in smaller]
    assert len(names) == len(set(names))
    latencies = {row["value"]: row for row in smaller if "/latency_ms.p50 (" in row["name"]}
    assert set(latencies) == {50.0, 60.0}
    assert {row["unit"] for row in latencies.values()} == {"ms"}
    assert {name.split("/")[-1].split()[0] for name in (row["name"] for row in bigger)} == {"throughput_qps"}


def test_an_invalid_run_is_named_and_the_exit_code_is_5(kept: Path) -> None:
    results.emulated_and_invalid().write("bad.json")
    scaled(70.0).write("good.json")
    done = edgesim_here("history", "add", "bad.json", "good.json")
    assert done.returncode == 5
    assert "bad.json: an INVALID run is no part of a history: enough requests" in done.stderr
    assert done.stdout.startswith("added: 2026-01-01T000000Z--jetson-nano_MAXN--net--")
    assert json.loads(edgesim_here("history", "add", "good.json", "--json").stdout)["added"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "--dir", "nowhere"), "nowhere: no such directory"),
        (("show", "--dir", "a", "--branch", "b"), "--dir and --branch: give only one of them"),
        (("show", "--metric", "latency"), "latency: no such metric"),
        (("show", "--model", "other"), "history: nothing in it fits the options"),
        (("show", "--confidence", "1"), "--confidence 1: not from 0.5 to below 1"),
        (("show", "--min-change", "-1"), "--min-change -1: not from 0 to below 100"),
        (("show", "--commits", "main"), "main: not a range of commits"),
        (("show", "--branch", "b"), "not in a git repository"),
        (("add", "missing.json"), "missing.json: No such file"),
        (("add", "history"), "history: a directory without cells of a sweep, not a result file"),
        (("page", "-o", "nowhere/p.html"), "its directory does not exist"),
        (("export", "csv"), "csv"),
    ],
)
def test_bad_input_is_named_with_exit_code_2(kept: Path, arguments: tuple[str, ...], words: str) -> None:
    done = edgesim_here("history", *arguments)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
