"""Where cells run: in this process one after the other, or wherever another executor sends them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from edgesim.progress import Progress
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.run_cell import run_cell


@dataclass(frozen=True)
class GivenBack:
    """What an executor returns in place of a result if no machine can do the cell now; no statement about the cell.

    Attributes:
        reason: why no machine can do the cell, in words.
    """

    reason: str


class Executor(Protocol):
    """Runs cells by `edgesim.sweeps.run_cell.run_cell`, wherever they run.

    A sweep submits cells as long as fewer than `most` are under way, and takes their results as they end. An executor
    is a context manager: at the end of the block, cells that are under way are given up.
    """

    @property
    def most(self) -> int:
        """The largest number of cells under way at a time: each keeps a file open in the directory of the results."""

    def submit(self, cell: Cell) -> None:
        """Take a cell; return at once."""

    def next_result(self) -> tuple[Cell, CellResult | GivenBack]:
        """Wait for a cell's end; return the cell as it was submitted, and its result.

        Raises:
            EdgesimError: no cell can be run any more; the cells under way are lost.
        """

    def under_way(self) -> Sequence[str]:
        """Return which cells run at the moment, and where, in words; called in another thread."""

    def news(self) -> Sequence[str]:
        """Return the events of the machines since the last call, for the user, such as the death of a worker."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class InProcess:
    """Runs one cell at a time in this process, in the order in which they were submitted."""

    most = 1

    def __init__(self) -> None:
        self._cells: deque[Cell] = deque()
        self._stage = _Stage()

    def submit(self, cell: Cell) -> None:
        self._cells.append(cell)

    def next_result(self) -> tuple[Cell, CellResult]:
        cell = self._cells.popleft()
        self._stage.cell, self._stage.doing = cell, ""
        return cell, run_cell(cell, listener=self._stage)

    def under_way(self) -> Sequence[str]:
        return self._stage.words()

    def news(self) -> Sequence[str]:
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._cells.clear()


class _Stage:
    """A listener that remembers the current stage of a cell, for the one line that a sweep shows."""

    def __init__(self) -> None:
        self.cell: Cell | None = None
        self.doing = ""

    def words(self) -> Sequence[str]:
        """Return the cell and its current stage, in words."""
        if self.cell is None:
            return ()
        return (f"{self.cell.name}: {self.doing}" if self.doing else self.cell.name,)

    def begin(self, stage: str, doing: str) -> None:
        self.doing = doing

    def advance(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...
