"""The results of a sweep on disk: written whole or not at all, and claimed by one sweep at a time.

A claim is a lock on a file, which the kernel releases when the process ends, however it ends. Two sweeps on one
directory, also on two machines that share it, each do a cell that the other has not claimed.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from edgesim.errors import DISK_FULL, DiskFull, EdgesimError, ResultError, of_limit
from edgesim.host import file_lock, whole_file
from edgesim.results import sweep_directory
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.cell import Cell

_LOCKS = ".claims"


class Claim:
    """A cell that this process alone may do, until `release` or the end of the process."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path = file, path

    def release(self) -> None:
        """Let others do the cell."""
        # Removed while locked: whoever opens the path then makes a new file, and whoever waits sees the file gone.
        self._path.unlink(missing_ok=True)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()


class Store:
    """The results of cells in a directory.

    Raises:
        ResultError, DiskFull: the directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._locks = directory / sweep_directory.CELLS / _LOCKS
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _explain(error, directory) from error

    def file(self, cell: Cell) -> Path:
        """Return the path of a cell's file."""
        return sweep_directory.file_of(
            self.directory, profile=cell.profile.reference, model=cell.label, job=cell.job, key=cell.key
        )

    def read(self, cell: Cell) -> CellResult | None:
        """Return the result of a cell; None without one, or with a damaged file: the cell is then done again."""
        file = self.file(cell)
        try:
            return CellResult.read(file) if file.exists() else None
        except ResultError:
            return None

    def write(self, cell: Cell, result: CellResult) -> None:
        """Write the result of a cell; before that, the run's result or the check's verdict beside it.

        Raises:
            DiskFull: no space is left; the directory has neither file, or both older ones.
            ResultError: the files cannot be written.
        """
        file = self.file(cell)
        try:
            beside = sweep_directory.report_of(file, cell.job)
            if beside is not None and result.report is not None:
                whole_file.write(beside, result.report.encode())
            whole_file.write(file, result.as_json().encode())
        except OSError as error:
            raise _explain(error, file) from error

    def claim(self, cell: Cell, *, wait: bool = False) -> Claim | None:
        """Claim a cell; return None if another sweep has claimed the cell, unless `wait` is set.

        Raises:
            DiskFull, ResultError: the file of the claim cannot be made.
        """
        path = self._locks / cell.key
        while True:
            try:
                file = path.open("w")
            except OSError as error:
                raise _explain(error, path) from error
            try:
                file_lock.take(file, wait=wait)
            except BlockingIOError:
                file.close()
                return None
            except BaseException:
                file.close()
                raise
            if _is_the_file_at(path, file):
                return Claim(file, path)
            file.close()  # whoever had the lock has removed the file: it locks nothing


def _is_the_file_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _explain(error: OSError, path: Path) -> EdgesimError:
    problem = f"{path}: cannot write a cell's result: {error.strerror}"
    if error.errno in DISK_FULL:
        return DiskFull(problem, fix=f"free some space there: df -h {path.parent}; then start the sweep again")
    return of_limit(error, problem) or ResultError(problem, fix="set `output` to a directory that you can write")
