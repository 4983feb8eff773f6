"""Sweeps: what is done, what is kept, and what a second start does."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgesim.errors import DiskFull, EngineMissing, Interrupted
from edgesim.host import whole_file
from edgesim.results import sweep_directory
from edgesim.results.cell_result import CellError, CellResult
from edgesim.sweeps import run_cell as run_cell_module
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.executor import InProcess
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import plan
from edgesim.sweeps.run_cell import run_cell
from edgesim.sweeps.store import Store
from edgesim.sweeps.sweep import forecast, sweep


class Counting(InProcess):
    """Counts the cells that it runs; `before` is called with each."""

    def __init__(self, before: Callable[[Cell], CellResult | None] = lambda _: None) -> None:
        super().__init__()
        self.ran: list[str] = []
        self._before = before

    def next_result(self) -> tuple[Cell, CellResult]:
        cell = self._cells[0]
        self.ran.append(cell.name)
        if (instead := self._before(cell)) is not None:
            self._cells.popleft()
            return cell, instead
        return super().next_result()


def failed(cell: Cell, kind: str = "OutOfMemory") -> CellResult:
    return run_cell(cell).model_copy(
        update={"figures": {}, "error": CellError(kind=kind, problem="planted", exit_code=4)}
    )


def test_second_start_does_nothing_that_is_done(matrix: Matrix, tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    before = sweep(matrix, tmp_path / "out", executor=first)
    after = sweep(matrix, tmp_path / "out", executor=second)
    assert len(first.ran) == 4
    assert second.ran == []
    assert after.cells == before.cells
    assert (before.done_before, after.done_before) == (0, 4)


def test_only_what_has_changed_is_done_again(matrix: Matrix, models: Path, tmp_path: Path) -> None:
    sweep(matrix, tmp_path / "out")
    (models / "small" / "1" / "model.onnx").write_bytes((models / "wide" / "1" / "model.onnx").read_bytes())
    again = Counting()
    result = sweep(matrix, tmp_path / "out", executor=again)
    assert again.ran == ["jetson-nano small", "raspberry-pi-5 small"]
    assert len(result.cells) == 4
    assert len(sweep_directory.read(tmp_path / "out")) == 6
    assert len(sweep_directory.newest(sweep_directory.read(tmp_path / "out"))) == 4


def test_failed_cell_is_kept_with_its_error_and_done_again_only_if_asked(matrix: Matrix, tmp_path: Path) -> None:
    def fail_small(cell: Cell) -> CellResult | None:
        return failed(cell) if cell.label == "small" else None

    first = sweep(matrix, tmp_path / "out", executor=Counting(fail_small))
    assert [cell.failed for cell in first.cells] == [True, True, False, False]
    found = forecast(matrix, tmp_path / "out")
    assert (found.done, found.failed, found.to_do) == (2, 2, {})
    assert forecast(matrix, tmp_path / "out", retry=True).to_do == {"predict": 2}
    assert Counting().ran == []
    kept = Counting()
    assert len(sweep(matrix, tmp_path / "out", executor=kept).failed) == 2
    assert kept.ran == []
    retried = Counting()
    assert sweep(matrix, tmp_path / "out", retry=True, executor=retried).failed == ()
    assert retried.ran == ["jetson-nano small", "raspberry-pi-5 small"]


def test_host_that_cannot_work_at_all_ends_the_sweep_and_fails_no_cell(matrix: Matrix, tmp_path: Path) -> None:
    def no_engine(cell: Cell) -> CellResult | None:
        return failed(cell, "EngineMissing") if cell.label == "wide" else None

    with pytest.raises(EngineMissing) as ended:
        sweep(matrix, tmp_path / "out", executor=Counting(no_engine))
    assert ended.value.problem == "planted; 2 of 4 cells are done"
    assert forecast(matrix, tmp_path / "out").to_do == {"predict": 2}


def test_interrupt_loses_the_cell_under_way_alone(matrix: Matrix, tmp_path: Path) -> None:
    def interrupt(cell: Cell) -> None:
        if cell.name == "raspberry-pi-5 small":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="1 of 4 cells are done"):
        sweep(matrix, tmp_path / "out", executor=Counting(interrupt))
    after = Counting()
    sweep(matrix, tmp_path / "out", executor=after)
    assert after.ran == ["raspberry-pi-5 small", "jetson-nano wide", "raspberry-pi-5 wide"]


def test_sigkill_loses_the_cell_under_way_alone(models: Path, tmp_path: Path) -> None:
    script = """
import os, signal, sys
from edgesim.sweeps import executor
from edgesim.cli.__main__ import main
run, cells = executor.run_cell, []
def kill_at_third(cell, **options):
    cells.append(cell)
    if len(cells) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(cell, **options)
executor.run_cell = kill_at_third
main()
"""
    words = ["sweep", "--profile", "jetson-nano", "--profile", "raspberry-pi-5", "--model", f"{models}/*", "-o"]
    command = [sys.executable, "-c", script, *words, str(tmp_path / "out")]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -9
    matrix = Matrix.of(profile=["jetson-nano", "raspberry-pi-5"], model=[f"{models}/*"])
    assert forecast(matrix, tmp_path / "out").done == 2
    after = Counting()
    assert sweep(matrix, tmp_path / "out", executor=after).failed == ()
    assert len(after.ran) == 2


def test_full_disk_ends_the_sweep_and_spoils_no_result(
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = whole_file.write, list[Path]()

    def full_at_third(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    monkeypatch.setattr(whole_file, "write", full_at_third)
    with pytest.raises(DiskFull) as ended:
        sweep(matrix, tmp_path / "out")
    assert ended.value.problem.endswith("No space left on device; 2 of 4 cells are done")
    assert len(sweep_directory.read(tmp_path / "out")) == 2
    assert len(sweep(matrix, tmp_path / "out").cells) == 4


def test_two_sweeps_on_one_directory_do_each_cell_once(matrix: Matrix, tmp_path: Path) -> None:
    both_began, ran = threading.Barrier(2, timeout=30), list[str]()
    first_cell = threading.local()

    def together(cell: Cell) -> None:
        if not hasattr(first_cell, "begun"):
            first_cell.begun = True
            both_began.wait()  # each has one cell now that the other may not do
        ran.append(cell.name)

    results: list[int] = []

    def one() -> None:
        results.append(len(sweep(matrix, tmp_path / "out", executor=Counting(together)).cells))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == [4, 4]
    assert sorted(ran) == ["jetson-nano small", "jetson-nano wide", "raspberry-pi-5 small", "raspberry-pi-5 wide"]


def test_claim_is_another_processes_to_take_once_it_is_released(matrix: Matrix, tmp_path: Path) -> None:
    store, (cell, *_) = Store(tmp_path / "out"), plan(matrix).cells
    claim = store.claim(cell)
    assert claim is not None
    assert store.claim(cell) is None
    claim.release()
    again = store.claim(cell)
    assert again is not None
    again.release()


def test_broken_file_of_a_cell_is_done_again(matrix: Matrix, tmp_path: Path) -> None:
    sweep(matrix, tmp_path / "out")
    (file, *_) = sorted((tmp_path / "out" / "cells").glob("jetson-nano.small.*.json"))
    file.write_text('{"kind": ')
    after = Counting()
    sweep(matrix, tmp_path / "out", executor=after)
    assert after.ran == ["jetson-nano small"]


def test_graph_of_a_model_is_read_once_for_all_boards(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgesim.predictions import graph

    read, read_paths = graph.read_graph, list[object]()

    def counted(path: object, **options: object) -> object:
        read_paths.append(path)
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(graph, "read_graph", counted)
    boards: Sequence[str] = ["raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5", "rk3588"]
    result = sweep(Matrix.of(boards, [f"{models}/*"], {"threads": [1, 2]}), tmp_path / "out")
    assert len(result.cells) == 16
    assert len(read_paths) == 2


def test_fault_of_edgesim_itself_fails_the_cell_and_no_other(
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> CellResult:
        raise ZeroDivisionError("planted")

    monkeypatch.setitem(run_cell_module._JOBS, "predict", broken)
    result = sweep(matrix, tmp_path / "out")
    assert [cell.error.exit_code for cell in result.cells if cell.error is not None] == [70] * 4
    assert result.cells[0].error is not None
    assert "ZeroDivisionError: planted" in result.cells[0].error.problem
