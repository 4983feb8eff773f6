"""A history in a directory and on a branch: what is added, what is read, and in which order."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import edgesim
from edgesim.errors import ResultError, UsageError
from edgesim.gates import baselines
from edgesim.gates.comparable import digest, identity
from edgesim.histories.history import History, history
from edgesim.histories.series import Selection
from edgesim.options import CPU
from tests.support import results
from tests.support.histories import host_of, scaled
from tests.unit.histories.conftest import Git

Commit = Callable[[int], str]
LATENCY = Selection(metrics=("latency_ms.p50",))


@pytest.fixture(params=["directory", "branch"])
def kept(request: pytest.FixtureRequest, repository: Path) -> History:
    return history(repository / "kept") if request.param == "directory" else history(branch="kept")


def test_results_are_kept_small_and_read_in_the_order_of_their_commits(kept: History, commit: Commit) -> None:
    days = [3, 1, 2]
    hashes = {day: commit(day) for day in sorted(days)}
    for day in days:
        kept.add(scaled(50.0 + day, number=9 - day), revision=hashes[day])
    (series,) = kept.trends(LATENCY).series
    assert series.values == [51.0, 52.0, 53.0]
    assert [point.entry.revision.name for point in series.points if point.entry.revision] == [
        hashes[day] for day in sorted(days)
    ]
    assert max(len(entry.as_json()) for entry in kept.entries()[0]) < 6000


def test_the_same_result_is_added_once(kept: History, commit: Commit) -> None:
    commit(1)
    first = kept.add(scaled(50.0))
    again = kept.add(scaled(50.0), scaled(51.0))
    assert (len(first.added), first.known) == (1, ())
    assert (len(again.added), again.known) == (1, first.added)
    assert len(kept.entries()[0]) == 2


def test_invalid_result_is_refused_and_the_others_are_added(kept: History) -> None:
    addition = kept.add(results.emulated_and_invalid(), scaled(50.0))
    assert len(addition.added) == 1
    assert addition.refused == {"net": "enough requests: 1 answered, 3 needed"}


def test_a_range_of_commits_goes_by_first_parents(kept: History, commit: Commit, git: Git) -> None:
    main = [commit(1), commit(2)]
    git("switch", "-q", "-c", "topic")
    topic = commit(3)
    git("switch", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merge", "topic", day=4)
    merge = git("rev-parse", "HEAD")
    for number, name in enumerate((*main, topic, merge)):
        kept.add(scaled(50.0 + number), revision=name)
    trends = kept.trends(Selection(metrics=("latency_ms.p50",), commits=f"{main[0]}..main"))
    assert trends.series[0].values == [51.0, 53.0]
    assert (trends.entries, trends.left_out) == (2, 2)
    assert kept.trends(LATENCY).series[0].values == [50.0, 51.0, 52.0, 53.0]


def test_a_step_names_its_revision_and_the_commits_since_the_result_before(kept: History, commit: Commit) -> None:
    hashes = [commit(day) for day in range(13)]
    for day in (*range(6), *range(10, 13)):
        kept.add(scaled(50.0, number=day, predicted_ms=40.0 if day < 6 else 44.0), revision=hashes[day])
    (series,) = kept.trends(Selection(metrics=("device_time_ms.p50",))).series
    (step,) = series.steps
    assert step.revision is not None
    assert step.previous is not None
    assert (step.revision.name, step.previous.name, step.commits) == (hashes[10], hashes[5], 5)
    assert (step.worse, step.recent, step.confidence) == (True, True, 1.0)
    assert step.also == ("the model's file is the same",)


def test_times_of_two_hosts_are_two_series_and_predictions_are_one(kept: History) -> None:
    for number in range(3):
        kept.add(scaled(50.0, number=number), host_of(scaled(60.0, number=number), "Linux 7"))
    series = kept.trends(Selection(metrics=("latency_ms.p50", "device_time_ms.p50", "artifact_bytes"))).series
    counts = [(each.metric, len(each.points)) for each in series]
    assert counts == [("device_time_ms.p50", 6), ("latency_ms.p50", 3), ("latency_ms.p50", 3), ("artifact_bytes", 6)]
    assert {each.of["kernel"] for each in series if each.metric == "latency_ms.p50"} == {"Linux", "Linux 7"}
    assert "kernel" not in series[0].of
    assert series[0].of["target"] == CPU


def test_a_measured_times_fingerprint_is_that_of_a_baseline(kept: History) -> None:
    result = scaled(50.0)
    kept.add(result)
    (series,) = kept.trends(LATENCY).series
    assert series.fingerprint == baselines.fingerprint(result) == digest(identity(result))


def test_times_of_an_emulator_are_no_figures_and_its_memory_is(kept: History) -> None:
    valid = scaled(50.0).validity
    kept.add(results.emulated_and_invalid().model_copy(update={"validity": valid}))
    ((entry,), _) = kept.entries()
    assert "latency_ms.mean" not in entry.figures
    assert "memory_peak_bytes" in entry.figures


def test_a_result_of_a_paired_run_has_its_own_revision(kept: History, commit: Commit) -> None:
    first, _ = commit(1), commit(2)
    result = scaled(50.0)
    model = result.model.model_copy(update={"origin": f"HEAD~1 ({first[:12]})"})
    kept.add(result.model_copy(update={"model": model}))
    ((entry,), _) = kept.entries()
    assert entry.revision is not None
    assert (entry.revision.name, entry.revision.subject) == (first, "change 1")


def test_additions_at_the_same_time_to_a_branch_are_all_kept(repository: Path, commit: Commit) -> None:
    commit(1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: history(branch="kept").add(scaled(50.0 + i)), range(8)))
    assert len(history(branch="kept").entries()[0]) == 8


def test_branch_leaves_the_working_tree_alone_and_begins_at_the_remotes(
    repository: Path, commit: Commit, git: Git
) -> None:
    tip = commit(1)
    history(branch="kept").add(scaled(50.0))
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD")) == ("", tip)
    git("update-ref", "refs/remotes/origin/kept", "kept")
    git("branch", "-q", "-D", "kept")
    assert len(history(branch="kept").entries()[0]) == 1
    history(branch="kept").add(scaled(51.0))
    assert len(history(branch="kept").entries()[0]) == 2
    assert git("rev-parse", "kept~1") == git("rev-parse", "origin/kept")


def test_foreign_files_are_skipped_and_named_and_damaged_entries_refused(repository: Path) -> None:
    kept = history("kept")
    (name,) = kept.add(scaled(50.0)).added
    (repository / "kept" / "notes.json").write_text("{")
    (repository / "kept" / "README").write_text("mine")
    assert kept.trends().foreign == ("README", "notes.json")
    for text, words in (
        ("{", "incomplete"),
        ("entry", "not JSON"),
        ("{}", "added: is missing"),
        ('{"history_version": 2}', "history_version"),
    ):
        (repository / "kept" / name).write_text(text)
        with pytest.raises(ResultError, match=f"{name}: not an entry of a history: .*{words}"):
            kept.trends()


def test_outside_of_git_revisions_are_any_names_and_results_go_by_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    kept = edgesim.history("kept")
    kept.add(scaled(52.0, number=2), revision="build 7")
    kept.add(scaled(51.0, number=1))
    (series,) = kept.trends(LATENCY).series
    assert series.values == [51.0, 52.0]
    assert series.points[1].entry.revision is not None
    assert series.points[1].entry.revision.short == "build 7"
    with pytest.raises(UsageError, match="not in a git repository"):
        history(branch="kept")
    with pytest.raises(UsageError, match="not a range of commits"):
        kept.trends(Selection(commits="main"))


def test_files_of_results_and_baselines_are_added(repository: Path) -> None:
    scaled(50.0).write("r.json")
    saved = baselines.save(scaled(51.0), Path("baselines"))
    kept = history("kept")
    assert len(kept.add("r.json", saved).added) == 2
    results.of_a_stack().write("s.json")
    with pytest.raises(ResultError, match="is the result of a stack"):
        kept.add("s.json")
    for text in ("{}", "[]", json.dumps({"history_version": 1})):
        Path("x.json").write_text(text)
        with pytest.raises(ResultError, match=r"x\.json: not a result file"):
            kept.add("x.json")
