"""The sweep: matrix → cells → cells without a result → executor → one file a cell."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgesim.errors import EdgesimError, HostError, Interrupted
from edgesim.progress import Listener, Progress, Stages
from edgesim.results.cell_result import CellResult, Job
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.executor import Executor, GivenBack, InProcess
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import Plan, plan
from edgesim.sweeps.store import Claim, Store
from edgesim.units import counted


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """The results of a sweep.

    Attributes:
        directory: the directory of the results.
        cells: the result of each cell, in the order of the matrix.
        left_out: combinations without a cell, each with the reason in words.
        done_before: how many cells were done when the sweep began.
    """

    directory: Path
    cells: tuple[CellResult, ...]
    left_out: tuple[str, ...] = ()
    done_before: int = 0

    @property
    def failed(self) -> tuple[CellResult, ...]:
        """The cells that failed."""
        return tuple(cell for cell in self.cells if cell.failed)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The work that a sweep would do.

    Attributes:
        cells: all of its cells.
        done, failed: cells with a result, and cells with an error, in the directory; `failed` are tried again only if
            that is asked for.
        seconds: the time of the other cells, by the time that cells of the same job took in this directory; None if
            one of the jobs has no cell there.
        left_out: combinations without a cell, each with the reason in words.
    """

    cells: tuple[Cell, ...]
    done: int
    failed: int
    to_do: Mapping[Job, int]
    seconds: float | None
    left_out: tuple[str, ...]


def sweep(
    matrix: Matrix,
    directory: Path,
    *,
    retry: bool = False,
    executor: Executor | None = None,
    listener: Listener | None = None,
) -> SweepResult:
    """Do the cells of a matrix that have no result in a directory yet.

    Args:
        retry: repeat the cells that failed before.
        executor: where cells run; None means in this process, one after the other.
        listener: hears of the progress.

    Raises:
        UsageError: the matrix is wrong, see `edgesim.sweeps.plan.plan`.
        DiskFull, ResultError: the directory cannot be written.
        HostError: this host cannot do the work at all.
        Interrupted: Ctrl-C. As after any other error, the results of all cells that have ended are kept.
    """
    stages = Stages(listener)
    planned = _plan(matrix, stages)
    work = _Work(planned, Store(directory), retry=retry)
    begun = len(planned.cells) - len(work.to_do)
    try:
        if work.to_do:
            with (
                executor if executor is not None else InProcess() as running,
                stages.stage("sweep", counted(len(work.to_do), "cell"), lambda: work.progress(running)),
            ):
                work.do(running, stages)
    except (KeyboardInterrupt, Interrupted) as error:
        raise Interrupted(
            f"interrupted; {work.done} of {len(planned.cells)} cells are done: repeat the command for the others"
        ) from error
    except EdgesimError as error:
        error.problem = f"{error.problem}; {work.done} of {len(planned.cells)} cells are done"
        raise
    finally:
        work.release()
    return SweepResult(
        directory=directory,
        cells=tuple(work.results[cell.key] for cell in planned.cells),
        left_out=planned.left_out,
        done_before=begun,
    )


def forecast(
    matrix: Matrix, directory: Path | None, *, listener: Listener | None = None, retry: bool = False
) -> Forecast:
    """Return what `sweep` would do with the same arguments, without doing a cell.

    Raises:
        UsageError: as `sweep` does.
    """
    planned = _plan(matrix, Stages(listener))
    known: dict[str, CellResult] = {}
    if directory is not None and directory.is_dir():
        store = Store(directory)
        known = {cell.key: result for cell in planned.cells if (result := store.read(cell)) is not None}
    failed = sum(result.failed for result in known.values())
    pace = _Pace()
    for result in known.values():
        pace.add(result)
    to_do = [cell for cell in planned.cells if cell.key not in known or (retry and known[cell.key].failed)]
    return Forecast(
        cells=planned.cells,
        done=len(known) - failed,
        failed=failed,
        to_do=Plan(cells=tuple(to_do)).jobs(),
        seconds=pace.seconds(to_do),
        left_out=planned.left_out,
    )


def _plan(matrix: Matrix, stages: Stages) -> Plan:
    doing: list[str] = []
    with stages.stage("plan", "reading profiles and models", lambda: Progress(", ".join(doing[-1:]))):
        return plan(matrix, doing=doing.append)


@dataclass
class _Pace:
    """How long cells take, by job, and how many of them are done at a time."""

    taken_s: dict[Job, list[float]] = field(default_factory=dict)
    begun_s: float = field(default_factory=time.monotonic)

    def add(self, result: CellResult) -> None:
        self.taken_s.setdefault(result.job, []).append(result.seconds)

    def left_s(self, cells: Sequence[Cell]) -> float | None:
        """Return the seconds until cells may be done, with as many cells at a time as until now; None if unknown."""
        one_by_one_s = self.seconds(cells)
        done_s = sum(map(sum, self.taken_s.values()))
        at_a_time = done_s / max(time.monotonic() - self.begun_s, 1e-9)
        return one_by_one_s / at_a_time if one_by_one_s is not None and at_a_time else None

    def seconds(self, cells: Sequence[Cell]) -> float | None:
        """Return how long cells take, one after the other; None if unknown."""
        means = {job: sum(taken) / len(taken) for job, taken in self.taken_s.items()}
        return None if any(cell.job not in means for cell in cells) else sum(means[cell.job] for cell in cells)


class _Work:
    """The cells of a sweep that are not done, and the results of those that are."""

    def __init__(self, planned: Plan, store: Store, *, retry: bool) -> None:
        self._store = store
        self._stale: dict[str, CellResult] = {}
        self.results: dict[str, CellResult] = {}
        self.to_do: deque[Cell] = deque()
        self._claims: dict[str, Claim] = {}
        self._under_way: dict[str, Cell] = {}
        self._given_back: dict[str, int] = {}
        self._pace, self._total = _Pace(), len(planned.cells)
        for cell in planned.cells:
            result = store.read(cell)
            if result is None or (retry and result.failed):
                self.to_do.append(cell)
                if result is not None:
                    self._stale[cell.key] = result
            else:
                self.results[cell.key] = result

    @property
    def done(self) -> int:
        """How many cells have a result."""
        return len(self.results)

    def do(self, executor: Executor, stages: Stages) -> None:
        """Do all cells; cells that another sweep has claimed come last: this sweep waits for them.

        Raises:
            HostError: no machine can do some of the cells; all others are done.
        """
        elsewhere: deque[Cell] = deque()
        while self.to_do or self._claims or elsewhere:
            while self.to_do and len(self._claims) < executor.most:
                cell = self.to_do.popleft()
                if not self._begin(cell, executor):
                    elsewhere.append(cell)
            if self._claims:
                ended = executor.next_result()
                for text in executor.news():
                    stages.note(text)
                self._end(*ended, stages)
            elif elsewhere:
                self._begin(elsewhere.popleft(), executor, wait=True)
        if self._given_back:
            reasons = "; ".join(f"{counted(count, 'cell')}: {reason}" for reason, count in self._given_back.items())
            raise HostError(
                f"no machine can do the rest: {reasons}",
                fix="edgesim doctor shows what a machine has; then repeat the command for the rest",
            )

    def _begin(self, cell: Cell, executor: Executor, *, wait: bool = False) -> bool:
        """Claim and submit a cell that has no result yet; return False if another sweep has claimed the cell."""
        claim = self._store.claim(cell, wait=wait)
        if claim is None:
            return False
        result = self._store.read(cell)
        if result is not None and result != self._stale.get(cell.key):
            self.results[cell.key] = result
            claim.release()
        else:
            self._claims[cell.key], self._under_way[cell.key] = claim, cell
            executor.submit(cell)
        return True

    def _end(self, cell: Cell, result: CellResult | GivenBack, stages: Stages) -> None:
        """Keep the result of a cell.

        Raises:
            HostError: the host cannot do the work at all, so that the result says nothing about the cell.
        """
        del self._under_way[cell.key]
        if isinstance(result, GivenBack):
            self._given_back[result.reason] = self._given_back.get(result.reason, 0) + 1
            self._claims.pop(cell.key).release()
            return
        if result.error is not None and result.error.is_of_the_host_alone:
            raise result.error.as_error()
        self._store.write(cell, result)
        self.results[cell.key] = result.model_copy(update={"report": None})
        self._claims.pop(cell.key).release()
        self._pace.add(result)
        if result.error is not None:
            stages.note(f"{result.name}: failed: {result.error.problem}")

    def release(self) -> None:
        """Release the claims of all cells that are not done."""
        while self._claims:
            self._claims.popitem()[1].release()

    def progress(self, executor: Executor) -> Progress:
        """Return how many cells are done, what runs where, and when the sweep may end."""
        failed = sum(result.failed for result in list(self.results.values()))
        now = ", ".join(list(executor.under_way())[:3])
        words = [f"{self.done} of {self._total} cells", f"{failed} failed" if failed else "", now]
        left_s = self._pace.left_s([*self.to_do, *self._under_way.copy().values()])
        return Progress(", ".join(filter(None, words)), self.done / self._total, left_s)
