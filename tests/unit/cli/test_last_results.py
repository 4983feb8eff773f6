"""The results of the last runs, which `edgesim report` and `edgesim compare` take without a file."""

from pathlib import Path

import pytest

from edgesim.cli import _last_results
from edgesim.cli.main import _run
from edgesim.results.load import load
from edgesim.results.run_result import RunResult
from tests.support import results


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    return tmp_path / "results"


def test_report_and_compare_take_the_last_results_and_say_which(
    result: RunResult, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        _last_results.keep(result)
    files = sorted(cache.iterdir())
    assert _run(["report", "-q"]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"edgesim: reading {files[2]}\n"
    assert len(captured.out.splitlines()) == 1
    assert _run(["compare", "-q"]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"edgesim: reading {files[1]}\nedgesim: reading {files[2]}\n"
    assert captured.out.startswith(f"{files[2]} to {files[1]}: ")


def test_a_stack_is_kept_too(cache: Path) -> None:
    stack = results.of_a_stack(requests=20)
    _last_results.keep(stack)
    (path,) = cache.iterdir()
    assert load(path) == stack


def test_without_a_result_the_command_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["report"]) == 2
    assert "no result is kept" in capsys.readouterr().err


def test_the_oldest_results_go_by_number_and_by_size(
    result: RunResult, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_last_results, "_MOST_FILES", 4)
    for _ in range(6):
        _last_results.keep(result)
    assert len(list(cache.iterdir())) == 4
    size = next(cache.iterdir()).stat().st_size
    monkeypatch.setattr(_last_results, "_MOST_BYTES", 3 * size)
    _last_results.keep(result)
    assert len(list(cache.iterdir())) == 3
    monkeypatch.setattr(_last_results, "_MOST_BYTES", 1)
    _last_results.keep(result)
    assert len(list(cache.iterdir())) == 2, "two stay, to be compared"


def test_a_cache_that_cannot_be_written_is_no_error(result: RunResult, cache: Path) -> None:
    cache.write_text("a file where the directory should be")
    _last_results.keep(result)
    assert cache.is_file()
