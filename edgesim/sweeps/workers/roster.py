"""The workers of a sweep: the resources, cells and faults of each, and which worker is free for a cell."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from edgesim.jobs.worker_resources import BOARD
from edgesim.sweeps.file_tree import FileTree

# Predictions are sent ahead, so that a worker has the next one when it ends one. They take milliseconds.
MOST_PREDICTIONS = 8
# A worker whose host was too busy for a cell is asked again after this time, and no more after that.
REST_S = 15.0
MOST_BUSY_S = 60.0


@dataclass(eq=False)
class Worker:
    """One worker.

    Attributes:
        host: the name of the worker's machine.
        resources: the resources that the worker declares.
        useless: why the worker can do no cell at all, such as another version of edgesim; empty if it can.
        unfit: why the worker can run no board, such as no engine; empty if it can.
        rests_until_s: the time before which the worker gets no board, by the roster's clock.
        busy_since_s: the time since which the host was too busy for each board that the worker got; None if the worker
            ran the last one.
        cells: the keys of the worker's cells, each with whether the cell runs a board.
        trees: the digests of the file trees on the worker's machine.
    """

    address: str
    host: str
    resources: frozenset[str] = frozenset()
    useless: str = ""
    unfit: str = ""
    rests_until_s: float = 0.0
    busy_since_s: float | None = None
    cells: dict[str, bool] = field(default_factory=dict)
    trees: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.host} ({self.address})"

    def has(self, trees: Iterable[FileTree]) -> bool:
        """Return whether the worker's machine has all of these files."""
        return all(tree.sha256 in self.trees for tree in trees)

    def is_free(self, needs: frozenset[str], *, alone: bool) -> bool:
        """Return whether the worker may get another cell now: a board is alone on its host."""
        if not self.cells:
            return True
        return not alone and BOARD not in needs and not any(self.cells.values()) and len(self.cells) < MOST_PREDICTIONS


class Roster:
    """All workers, by their addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.workers: dict[str, Worker] = {}

    def suitable(self, needs: frozenset[str], refused_by: Iterable[str] = ()) -> Iterator[Worker]:
        """Yield the workers that can do a cell, free or not.

        Args:
            refused_by: names of the hosts that cannot do this cell.
        """
        refused, now_s = frozenset(refused_by), self._clock()
        for worker in self.workers.values():
            resting = BOARD in needs and (worker.unfit or worker.rests_until_s > now_s)
            if not worker.useless and not resting and needs <= worker.resources and worker.host not in refused:
                yield worker

    def free(
        self,
        needs: frozenset[str],
        trees: Iterable[FileTree],
        *,
        refused_by: Iterable[str] = (),
        alone: bool = False,
    ) -> Worker | None:
        """Return the worker for a cell: first one that has the cell's files, then the one with the fewest cells."""
        free = [worker for worker in self.suitable(needs, refused_by) if worker.is_free(needs, alone=alone)]
        return min(free, key=lambda worker: (not worker.has(trees), len(worker.cells)), default=None)

    def rest(self, worker: Worker, reason: str) -> None:
        """Give a worker on a busy host no board for a while; if the host stays busy, no board any more."""
        now_s = self._clock()
        worker.rests_until_s = now_s + REST_S
        if worker.busy_since_s is None:
            worker.busy_since_s = now_s
        elif now_s - worker.busy_since_s >= MOST_BUSY_S:
            worker.unfit = reason

    def why_none(self, needs: frozenset[str]) -> str:
        """Say why no worker can do a cell."""
        if not self.workers:
            return "the scheduler has no worker"
        reasons = {f"{worker}: {worker.useless}": None for worker in self.workers.values() if worker.useless}
        able = [worker for worker in self.workers.values() if not worker.useless]
        if BOARD in needs:
            reasons |= {f"{worker}: {worker.unfit}": None for worker in able if worker.unfit}
            able = [worker for worker in able if not worker.unfit]
        if able and not any(needs <= worker.resources for worker in able):
            declared = [worker.resources for worker in able]
            missing = min((needs - resources for resources in declared), key=len)
            reasons[f"no worker declares {','.join(f'{name}=1' for name in sorted(missing))}"] = None
        return "; ".join(reasons) or "no worker is free yet"
