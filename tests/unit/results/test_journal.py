"""The journal: a result file that can be read at any moment of a run."""

import resource
from pathlib import Path

import pytest

from edgesim.recording import Sample
from edgesim.results import journal
from edgesim.results.journal import Journal
from edgesim.results.run_result import RunResult

MADE = [Sample(1000 + 10 * i, 1001 + 10 * i, 1005 + 10 * i, "ok") for i in range(50)]


@pytest.fixture
def so_far(result: RunResult) -> RunResult:
    return result.model_copy(update={"complete": False, "samples": (), "timeline": (), "phases": ()})


def test_journal_has_all_samples_after_every_append(
    tmp_path: Path, so_far: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Journal(tmp_path / "r.json")
    for count in (1, 2, 49):
        kept._append(MADE[:count], lambda: so_far)
        written = RunResult.read(tmp_path / "r.incomplete.json")
        assert not written.complete
        assert not written.validity.valid
        assert written.samples[-1] == MADE[count - 1].since(MADE[0].scheduled_ns)
    assert len(written.samples) == 52


def test_journal_has_samples_within_the_interval_and_all_of_them_at_the_end(
    tmp_path: Path, so_far: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_INTERVAL_S", 0.01)
    samples: list[Sample] = []
    kept = Journal(tmp_path / "r.json")
    for part in (MADE[:20], MADE[20:]):
        samples.clear()
        with kept.keeping(samples, lambda: so_far):
            for sample in part:
                samples.append(sample)
    assert [s.scheduled_ns for s in RunResult.read(kept.path).samples] == [10 * i for i in range(50)]
    kept.finish(so_far)
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"], "the result file, which has everything"


def test_run_without_a_sample_leaves_no_journal(tmp_path: Path, so_far: RunResult) -> None:
    with Journal(tmp_path / "r.json").keeping([], lambda: so_far):
        pass
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fills_up_leaves_the_journal_as_it_was(tmp_path: Path, so_far: RunResult) -> None:
    kept = Journal(tmp_path / "r.json")
    kept._append(MADE[:10], lambda: so_far)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kept.path.stat().st_size + 50, hard))
    try:
        with pytest.raises(OSError, match="No space left"):
            kept._append(MADE[10:], lambda: so_far)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(RunResult.read(kept.path).samples) == 10


def test_missing_directory_does_not_end_the_measurement(tmp_path: Path, so_far: RunResult) -> None:
    samples: list[Sample] = []
    with Journal(tmp_path / "missing" / "r.json").keeping(samples, lambda: so_far):
        samples.extend(MADE)
