"""The journal: a file that can be read at any moment."""

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


def test_what_has_been_measured_is_there_after_every_step(
    tmp_path: Path, so_far: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Journal(tmp_path / "r.json")
    for count in (1, 2, 49):
        kept._append(MADE[:count], lambda: so_far)
        found = RunResult.read(tmp_path / "r.incomplete.json")
        assert not found.complete
        assert not found.validity.valid
        assert found.samples[-1] == MADE[count - 1].since(MADE[0].scheduled_ns)
    assert len(found.samples) == 52


def test_samples_are_kept_by_the_second_and_all_at_the_end(
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
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"], "which has it all"


def test_a_run_without_a_sample_leaves_no_file(tmp_path: Path, so_far: RunResult) -> None:
    with Journal(tmp_path / "r.json").keeping([], lambda: so_far):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_in_the_middle_leaves_what_was_there_before(tmp_path: Path, so_far: RunResult) -> None:
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


def test_a_directory_that_is_not_there_does_not_end_the_measurement(tmp_path: Path, so_far: RunResult) -> None:
    samples: list[Sample] = []
    with Journal(tmp_path / "missing" / "r.json").keeping(samples, lambda: so_far):
        samples.extend(MADE)
