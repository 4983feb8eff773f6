"""Cells on the workers of Dask's scheduler.

Dask connects, carries cells and results, and sees that no two sweeps run a board on one worker at a time (`board=1`).
Which worker gets a cell is edgesim's decision, since it depends on what only a sweep knows: which machines have the
model, which ones have given a cell back and why, and which cell was under way when a worker died. A queue of Dask's own
would count the death of a worker against all cells that wait for it (`allowed-failures`).
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from edgesim.errors import ExitCode, HostError, ModelError, UsageError
from edgesim.jobs.worker_resources import BOARD
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.executor import GivenBack
from edgesim.sweeps.run_cell import failed
from edgesim.sweeps.workers.dask_connection import DaskConnection
from edgesim.sweeps.workers.needs import needs
from edgesim.sweeps.workers.roster import MOST_PREDICTIONS, Roster, Worker
from edgesim.sweeps.workers.worker import Facts, Refusal
from edgesim.version import __version__

# A cell whose worker has died is done elsewhere, this often at most.
MOST_DEATHS = 2
# How long a cell waits for a worker that can do it, such as one that is just starting.
PATIENCE_S = 60.0
_LOOK_S = 1.0
_FEW = 16
_MOST = 256


@dataclass(eq=False)
class _Sent:
    """A submitted cell and its state.

    Attributes:
        worker: the worker that has the cell; None while the cell waits for a worker.
        waits_since_s: the time since which no worker can do the cell; None while a worker can.
        died: the workers that died while they had the cell.
        refused: the reasons of hosts that cannot do this cell, by host.
    """

    cell: Cell
    needs: frozenset[str]
    worker: Worker | None = None
    waits_since_s: float | None = None
    died: list[str] = field(default_factory=list)
    refused: dict[str, CellResult] = field(default_factory=dict)


class DaskExecutor:
    """Sends cells to the workers of a scheduler; see `edgesim.sweeps.executor.Executor`.

    Args:
        scheduler: the address: ``tcp://HOST:8786`` or ``tls://HOST:8786``.
        registry: the registry in which workers share serving images, ``HOST:5000/PATH``; None: each builds its own.
        connect: makes the connection.
    """

    def __init__(
        self,
        scheduler: str,
        registry: str | None = None,
        *,
        connect: Callable[[str], DaskConnection] = DaskConnection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler, self._registry, self._connect, self._clock = scheduler, registry, connect, clock
        self._roster = Roster(clock)
        self._sent: dict[str, _Sent] = {}
        self._results: deque[tuple[Cell, CellResult | GivenBack]] = deque()
        self._news: deque[str] = deque()
        self._look_at_s = 0.0

    def __enter__(self) -> Self:
        self._dask = self._connect(self._scheduler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dask.close()

    @property
    def most(self) -> int:
        """The number of cells that gives every worker a board and its next predictions."""
        return min(_FEW + MOST_PREDICTIONS * len(self._roster.workers), _MOST)

    def submit(self, cell: Cell) -> None:
        sent = self._sent[cell.key] = _Sent(cell, needs(cell))
        for option, tree in cell.files.items():
            if tree.named_absolutely is not None:
                error = UsageError(
                    f"`{option}`: names {tree.named_absolutely}, an absolute path, which means another file or none on"
                    " a worker",
                    fix="name files relative to the directory of the inputs file: they are sent, wherever they are",
                )
                self._end(sent, failed(cell, error))
                return
        self._look_if_due()
        self._place(sent)

    def next_result(self) -> tuple[Cell, CellResult | GivenBack]:
        while not self._results:
            self._look_if_due()
            try:
                key = self._dask.ended.get(timeout=_LOOK_S)
            except queue.Empty:
                self._look()
            else:
                if key in self._sent:
                    self._take(self._sent[key])
            for sent in list(self._sent.values()):
                if sent.worker is None:
                    self._place(sent)
        return self._results.popleft()

    def news(self) -> Sequence[str]:
        news = []
        while self._news:
            news.append(self._news.popleft())
        return news

    def under_way(self) -> Sequence[str]:
        now, doing = [], self._dask.doing
        for sent in list(self._sent.values()):
            words, name = doing.get(sent.cell.key, ""), sent.cell.name
            if (worker := sent.worker) is not None and BOARD in sent.needs:
                now.append(f"{worker.host}: {name}" + (f": {words}" if words else ""))
            elif sent.waits_since_s is not None:
                why = self._roster.why_none(sent.needs)
                now.append(f"{name} waits" + (f": {why}" if why else ""))
        return now

    def _look_if_due(self) -> None:
        if self._clock() >= self._look_at_s:
            self._look()

    def _look(self) -> None:
        """Read which workers are new, and which have ended."""
        self._look_at_s = self._clock() + _LOOK_S
        present, known = self._dask.workers(), self._roster.workers
        for address in [address for address in known if address not in present]:
            self._bury(known.pop(address))
        new = [address for address in present if address not in known]
        if new:
            for address, facts in self._dask.facts(new).items():
                self._greet(address, present[address], facts)

    def _greet(self, address: str, resources: frozenset[str], facts: Facts | str) -> None:
        worker = Worker(address, facts.host if isinstance(facts, Facts) else address, resources)
        if not isinstance(facts, Facts):
            worker.useless = facts
        elif facts.version != __version__:
            worker.useless = f"has edgesim {facts.version}, and this is {__version__}"
        if worker.useless:
            self._news.append(f"worker {worker} gets no cell: {worker.useless}")
        self._roster.workers[address] = worker

    def _bury(self, worker: Worker) -> None:
        lost = [self._sent[key] for key in worker.cells if key in self._sent]
        if lost:
            self._news.append(f"worker {worker} is gone, with {', '.join(sent.cell.name for sent in lost)}")
        for sent in lost:
            self._dask.drop(sent.cell.key)
            self._died(sent, worker)

    def _died(self, sent: _Sent, worker: Worker) -> None:
        self._release(sent)
        sent.died.append(str(worker))
        if len(sent.died) > MOST_DEATHS:
            error = HostError(
                f"the worker died in each of {len(sent.died)} attempts at the cell: {', '.join(sent.died)}",
                fix="read the reason in the workers' logs; `retry` repeats the cell",
            )
            self._end(sent, failed(sent.cell, error))

    def _place(self, sent: _Sent) -> None:
        """Send a cell to a free worker; give the cell back if no worker can do the cell for long."""
        while True:
            # A cell that may have killed a worker takes no other cell down with it.
            worker = self._roster.free(sent.needs, sent.cell.trees, refused_by=sent.refused, alone=bool(sent.died))
            if worker is None:
                self._wait(sent)
                return
            if self._has_files(sent, worker):
                break
            if sent.cell.key not in self._sent:
                return
        sent.worker, sent.waits_since_s = worker, None
        worker.cells[sent.cell.key] = BOARD in sent.needs
        self._dask.start(sent.cell, worker.address, sent.needs, self._registry)

    def _has_files(self, sent: _Sent, worker: Worker) -> bool:
        """Send a worker the files that it lacks; return whether it has all of a cell's files."""
        try:
            for tree in sent.cell.trees:
                if tree.sha256 not in worker.trees:
                    if not self._dask.send(tree, worker.address):
                        self._roster.workers.pop(worker.address, None)
                        self._bury(worker)
                        return False
                    worker.trees.add(tree.sha256)
        except OSError as error:
            problem = f"{error.filename}: {error.strerror}"
            self._end(sent, failed(sent.cell, ModelError(problem, fix="restore the file, and sweep again")))
            return False
        except HostError as error:
            if not self._dask.is_connected:
                raise
            self._useless(worker, error.with_fix)
            return False
        return True

    def _wait(self, sent: _Sent) -> None:
        if any(self._roster.suitable(sent.needs, sent.refused)):
            sent.waits_since_s = None
            return
        if sent.refused and any(self._roster.suitable(sent.needs)):
            self._end(sent, list(sent.refused.values())[-1])
            return
        if sent.waits_since_s is None:
            sent.waits_since_s = self._clock()
        elif self._clock() - sent.waits_since_s >= PATIENCE_S:
            refusals = list(sent.refused.values())
            self._end(sent, refusals[-1] if refusals else GivenBack(self._roster.why_none(sent.needs)))

    def _take(self, sent: _Sent) -> None:
        """Handle the answer of a worker."""
        worker, answer = sent.worker, self._dask.take(sent.cell.key)
        if worker is None:
            return
        self._release(sent)
        match answer:
            case CellResult():
                self._judge(sent, worker, answer)
            case Refusal(reason=reason, lacks_files=True):
                self._news.append(f"worker {worker} gives {sent.cell.name} back: {reason}")
                worker.trees.clear()
            case Refusal(reason=reason):
                self._news.append(f"worker {worker} gives {sent.cell.name} back: {reason}")
                self._roster.rest(worker, reason)
            case None:
                pass  # the worker has ended, or is about to
            case _ if type(answer).__name__ == "KilledWorker":
                self._died(sent, worker)
            case _:
                self._end(sent, failed(sent.cell, answer))

    def _judge(self, sent: _Sent, worker: Worker, result: CellResult) -> None:
        """Handle a result; a cell that failed for lack of something on its host is tried on another host."""
        if result.error is None or result.error.exit_code != ExitCode.HOST:
            worker.busy_since_s = None
            self._end(sent, result)
        elif result.error.is_of_the_host_alone:
            worker.unfit = result.error.problem
            self._news.append(f"worker {worker} gets no board any more: {worker.unfit}")
        else:
            sent.refused[worker.host] = result

    def _useless(self, worker: Worker, reason: str) -> None:
        worker.useless = reason
        self._news.append(f"worker {worker} gets no cell any more: {reason}")

    def _release(self, sent: _Sent) -> None:
        if sent.worker is not None:
            sent.worker.cells.pop(sent.cell.key, None)
            sent.worker = None

    def _end(self, sent: _Sent, result: CellResult | GivenBack) -> None:
        del self._sent[sent.cell.key]
        self._results.append((sent.cell, result))
