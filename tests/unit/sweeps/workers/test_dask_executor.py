"""Which worker gets which cell, and what becomes of a cell whose worker dies, refuses or lacks something."""

import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesim.errors import DiskFull, EdgesimError, EngineMissing, HostError, HostTooSlow
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.executor import GivenBack
from edgesim.sweeps.file_tree import FileTree
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import plan
from edgesim.sweeps.run_cell import failed, run_cell
from edgesim.sweeps.sweep import sweep
from edgesim.sweeps.workers.dask_connection import Answer
from edgesim.sweeps.workers.dask_executor import DaskExecutor
from edgesim.sweeps.workers.roster import MOST_BUSY_S
from edgesim.sweeps.workers.worker import Facts, Refusal
from edgesim.version import __version__
from tests.support.heard import Heard

BOARD = frozenset(("board", "engine", "arm64", "amd64", "native-amd64"))
Behavior = Callable[[Cell, str], Answer | str]
DIE = "die"


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.01
        return self.now_s


class FakeDask:
    """A scheduler whose workers answer at once, as `behavior` says: an answer, or `DIE`."""

    def __init__(self, workers: Mapping[str, frozenset[str]], behavior: Behavior, clock: Clock) -> None:
        self.present, self.behavior, self.clock = dict(workers), behavior, clock
        self.versions: dict[str, Facts | str] = {}
        self.ended: Any = self
        self.doing: dict[str, str] = {}
        self.is_connected = True
        self.began: list[tuple[str, str]] = []
        self.sent: list[tuple[str, str]] = []
        self.closed = False
        self._answers: dict[str, Answer] = {}
        self._keys: list[str] = []

    def get(self, timeout: float) -> str:
        if not self._keys:
            self.clock.now_s += timeout
            raise queue.Empty
        return self._keys.pop(0)

    def workers(self) -> Mapping[str, frozenset[str]]:
        return dict(self.present)

    def facts(self, addresses: Sequence[str]) -> Mapping[str, Facts | str]:
        return {a: self.versions.get(a, Facts(version=__version__, host=f"host-{a}")) for a in addresses}

    def send(self, tree: FileTree, address: str) -> bool:
        self.sent.append((tree.sha256, address))
        return address in self.present

    def start(self, cell: Cell, address: str, needs: frozenset[str], registry: str | None) -> None:
        self.began.append((cell.name, address))
        answer = self.behavior(cell, address)
        if answer == DIE:
            del self.present[address]
        else:
            assert not isinstance(answer, str)
            self._answers[cell.key] = answer
            self._keys.append(cell.key)

    def take(self, key: str) -> Answer:
        return self._answers.pop(key)

    def drop(self, key: str) -> None: ...

    def close(self) -> None:
        self.closed = True


def executor(
    workers: Mapping[str, frozenset[str]], behavior: Behavior = lambda cell, _: run_cell(cell)
) -> tuple[DaskExecutor, FakeDask]:
    clock = Clock()
    dask = FakeDask(workers, behavior, clock)
    return DaskExecutor("tcp://fake:1", connect=lambda _: dask, clock=clock), dask  # type: ignore[arg-type, return-value]


def ran(cell: Cell) -> CellResult:
    """Return a result as of a run, without a board."""
    return run_cell(replace(cell, job="predict")).model_copy(update={"job": cell.job, "key": cell.key, "word": "VALID"})


def error_of(cell: Cell, kind: type[EdgesimError]) -> CellResult:
    return failed(cell, kind("planted"))


def test_predictions_run_on_all_workers_and_a_model_goes_to_each_once(matrix: Matrix, tmp_path: Path) -> None:
    running, dask = executor({"a": frozenset(), "b": BOARD})
    result = sweep(matrix, tmp_path / "out", executor=running)
    assert result.failed == ()
    assert len(result.cells) == 4
    assert len(dask.sent) == len(set(dask.sent))
    assert dask.closed


def runs(models: Path, *boards: str, **settings: Any) -> Matrix:
    return Matrix.of(boards or ["jetson-nano", "raspberry-pi-5"], [f"{models}/*"], {"job": ["run"], **settings})


def test_worker_has_one_board_at_a_time(models: Path) -> None:
    running, dask = executor({"a": BOARD, "b": BOARD}, lambda cell, _: ran(cell))
    cells = plan(runs(models)).cells
    with running:
        for cell in cells:
            running.submit(cell)
        assert sorted(address for _, address in dask.began) == ["a", "b"]
        assert len({running.next_result()[0].key for _ in cells}) == 4


def test_board_goes_only_where_its_resources_are(models: Path, tmp_path: Path) -> None:
    running, dask = executor({"a": frozenset(("board",)), "b": BOARD}, lambda cell, _: ran(cell))
    assert sweep(runs(models), tmp_path, executor=running).failed == ()
    assert {address for _, address in dask.began} == {"b"}


def test_cell_of_a_dead_worker_is_done_elsewhere(models: Path, tmp_path: Path) -> None:
    running, _dask = executor({"a": BOARD, "b": BOARD}, lambda cell, address: DIE if address == "a" else ran(cell))
    heard = Heard()
    assert sweep(runs(models), tmp_path, executor=running, listener=heard).failed == ()
    assert [text for text in heard.lines if "host-a (a) is gone, with jetson-nano" in text]


def test_cell_that_kills_three_workers_is_kept_as_failed_with_their_names(models: Path, tmp_path: Path) -> None:
    running, dask = executor(
        dict.fromkeys("abcde", BOARD), lambda cell, _: DIE if cell.name == "jetson-nano small" else ran(cell)
    )
    result = sweep(runs(models), tmp_path, executor=running)
    (bad,) = result.failed
    assert bad.error is not None
    assert (bad.name, bad.error.exit_code) == ("jetson-nano small", 3)
    assert bad.error.problem.startswith("the worker died in each of 3 attempts at the cell: host-")
    assert len([name for name, _ in dask.began if name == "jetson-nano small"]) == 3


def test_predictions_beside_the_one_that_kills_workers_do_not_fail_with_it(models: Path, tmp_path: Path) -> None:
    running, _dask = executor(
        dict.fromkeys("abcdefgh", BOARD), lambda cell, _: DIE if cell.name == "jetson-nano small" else run_cell(cell)
    )
    matrix = Matrix.of(["raspberry-pi-*", "jetson-nano"], [f"{models}/*"])
    result = sweep(matrix, tmp_path, executor=running)
    assert [cell.name for cell in result.failed] == ["jetson-nano small"]


@pytest.mark.parametrize("kind", [EngineMissing, DiskFull])
def test_worker_whose_host_cannot_run_boards_gets_no_more_of_them(
    models: Path, tmp_path: Path, kind: type[HostError]
) -> None:
    running, dask = executor(
        {"a": BOARD, "b": BOARD},
        lambda cell, address: error_of(cell, kind) if address == "a" else ran(cell),
    )
    heard = Heard()
    assert sweep(runs(models), tmp_path, executor=running, listener=heard).failed == ()
    assert [address for _, address in dask.began].count("a") == 1
    assert "worker host-a (a) gets no board any more: planted" in heard.lines


def test_sweep_ends_with_the_reasons_where_no_worker_can_run_boards(models: Path, tmp_path: Path) -> None:
    running, _ = executor({"a": BOARD}, lambda cell, _: error_of(cell, EngineMissing))
    with pytest.raises(HostError) as ended:
        sweep(runs(models), tmp_path, executor=running)
    assert ended.value.problem == ("no machine can do the rest: 4 cells: host-a (a): planted; 0 of 4 cells are done")


def test_all_other_cells_are_done_before_the_sweep_says_what_no_worker_declares(models: Path, tmp_path: Path) -> None:
    running, _ = executor({"a": BOARD}, lambda cell, _: ran(cell) if cell.job == "run" else run_cell(cell))
    matrix = Matrix.of(["jetson-nano"], [f"{models}/*"], {"job": ["predict", "run"], "execution": ["native", "scaled"]})
    with pytest.raises(HostError) as ended:
        sweep(matrix, tmp_path, executor=running)
    assert "2 cells: no worker declares jetson-nano=1,native-arm64=1; 4 of 6 cells are done" in ended.value.problem


def test_what_one_host_cannot_do_is_tried_on_another(models: Path, tmp_path: Path) -> None:
    running, _dask = executor(
        {"a": BOARD, "b": BOARD}, lambda cell, at: error_of(cell, HostTooSlow) if at == "a" else ran(cell)
    )
    assert sweep(runs(models), tmp_path, executor=running).failed == ()


def test_what_no_host_can_do_is_kept_as_failed(models: Path, tmp_path: Path) -> None:
    running, _ = executor({"a": BOARD, "b": BOARD}, lambda cell, _: error_of(cell, HostTooSlow))
    result = sweep(runs(models), tmp_path, executor=running)
    assert [cell.error.kind for cell in result.failed if cell.error is not None] == ["HostTooSlow"] * 4


def test_busy_worker_gives_its_cell_to_another(models: Path, tmp_path: Path) -> None:
    running, _dask = executor(
        {"a": BOARD, "b": BOARD}, lambda cell, at: Refusal(reason="busy") if at == "a" else ran(cell)
    )
    assert sweep(runs(models), tmp_path, executor=running).failed == ()


def test_worker_that_stays_busy_gets_no_more_boards_and_the_sweep_says_so(models: Path, tmp_path: Path) -> None:
    running, dask = executor({"a": BOARD}, lambda *_: Refusal(reason="its host is busy: 90 %"))
    with pytest.raises(HostError, match=r"4 cells: host-a \(a\): its host is busy: 90 %$"):
        sweep(runs(models), tmp_path, executor=running)
    assert MOST_BUSY_S <= dask.clock.now_s < 10 * MOST_BUSY_S


def test_worker_that_has_lost_its_files_gets_them_again(models: Path, tmp_path: Path) -> None:
    lost = iter([True])

    def behavior(cell: Cell, _: str) -> Answer:
        return Refusal(reason="lost", lacks_files=True) if next(lost, False) else ran(cell)

    running, dask = executor({"a": BOARD}, behavior)
    assert sweep(runs(models, "jetson-nano"), tmp_path, executor=running).failed == ()
    assert len(dask.sent) == 3


def test_worker_with_another_version_gets_no_cell_and_is_named(matrix: Matrix, tmp_path: Path) -> None:
    running, dask = executor({"a": frozenset(), "b": frozenset()})
    dask.versions = {"a": Facts(version="9.9", host="old"), "b": Facts(version=__version__, host="new")}
    heard = Heard()
    assert sweep(matrix, tmp_path, executor=running, listener=heard).failed == ()
    assert {address for _, address in dask.began} == {"b"}
    assert f"worker old (a) gets no cell: has edgesim 9.9, and this is {__version__}" in heard.lines


def test_sweep_waits_for_a_worker_to_come(matrix: Matrix, tmp_path: Path) -> None:
    running, dask = executor({})
    found = dask.workers

    def late() -> Mapping[str, frozenset[str]]:
        if dask.clock.now_s > 20:
            dask.present["a"] = frozenset()
        return found()

    dask.workers = late  # type: ignore[method-assign]
    assert sweep(matrix, tmp_path, executor=running).failed == ()


def test_sweep_without_a_worker_ends_after_a_minute(matrix: Matrix, tmp_path: Path) -> None:
    running, dask = executor({})
    with pytest.raises(HostError, match="4 cells: the scheduler has no worker"):
        sweep(matrix, tmp_path, executor=running)
    assert 60 <= dask.clock.now_s < 90


def test_model_that_is_gone_when_it_is_sent_fails_its_cells_alone(matrix: Matrix, models: Path, tmp_path: Path) -> None:
    running, dask = executor({"a": frozenset()})
    send = dask.send

    def gone(tree: FileTree, address: str) -> bool:
        if any(file.path.startswith("small") for file in tree.files):
            (models / "small" / "gone").open()
        return send(tree, address)

    dask.send = gone  # type: ignore[method-assign]
    result = sweep(matrix, tmp_path, executor=running)
    assert [cell.model for cell in result.failed] == ["small", "small"]
    assert result.failed[0].error is not None
    assert result.failed[0].error.problem.endswith("models/small/gone: No such file or directory")


def test_fault_of_a_worker_fails_the_cell_and_no_other(matrix: Matrix, tmp_path: Path) -> None:
    running, _ = executor(
        {"a": frozenset()}, lambda cell, _: ZeroDivisionError("x") if "small" in cell.name else run_cell(cell)
    )
    result = sweep(matrix, tmp_path, executor=running)
    assert [cell.error.exit_code for cell in result.failed if cell.error is not None] == [70, 70]


def test_absolute_path_in_an_inputs_file_fails_the_cell_before_a_worker_reads_its_own_file(
    models: Path, tmp_path: Path
) -> None:
    values, inputs = tmp_path / "x.npy", tmp_path / "inputs.yaml"
    np.save(values, np.ones((1, 16), np.float32))
    inputs.write_text(f"inputs: {{x: {{file: {values}}}}}\n")
    matrix = Matrix.of(["rk3588"], [f"{models}/small"], {"inputs_file": [inputs]})
    running, dask = executor({"a": frozenset()})
    (cell,) = sweep(matrix, tmp_path / "sent", executor=running).failed
    assert cell.error is not None
    assert (cell.error.exit_code, f"`inputs_file`: names {values}" in cell.error.problem) == (2, True)
    assert (dask.sent, dask.began) == ([], [])
    assert sweep(matrix, tmp_path / "here").failed == ()


def test_given_back_is_no_result(matrix: Matrix, tmp_path: Path) -> None:
    running, _ = executor({})
    cell = plan(matrix).cells[0]
    with running:
        running.submit(cell)
        assert running.next_result() == (cell, GivenBack("the scheduler has no worker"))
