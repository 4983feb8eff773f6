"""The results of a sweep in one table: a row for each cell."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesim.reports.tables import Table
from edgesim.results import sweep_directory
from edgesim.results.cell_result import CellResult, Figure
from edgesim.units import counted, format_bytes, format_ms

TIME = "device_time_ms.p50"
# Figures of a row on the terminal and in Markdown, beside the device time: their heads, where any cell has them.
_SHOWN = {
    "generation.tokens_per_second": "tokens/s",
    "memory_peak_bytes": "memory peak",
    "accuracy": "accuracy",
    "energy_j": "energy, J",
    "artifact_bytes": "model size",
}
# Figures whose note says why they are not the board's.
_OF_THE_BOARD = ("memory_peak_bytes", "accuracy")
_OWN = ("job", "profile", "model", "precision", "target")


@dataclass(frozen=True)
class SweepOverview:
    """The cells of a sweep, a row each.

    Attributes:
        left_out: combinations without a cell, each with the reason in words.
        directory: the directory of the cells' files.
    """

    cells: tuple[CellResult, ...]
    left_out: tuple[str, ...] = ()
    directory: Path | None = None

    @classmethod
    def read(cls, directory: Path) -> "SweepOverview":
        """Read the directory of a sweep; of a cell that was done several times, the newest result.

        The cells are in the order of boards, models, jobs and options, numbers by their size; the files have another.

        Raises:
            ResultError: the directory has no result, or a file is not a cell's.
        """
        cells = sweep_directory.newest(sweep_directory.read(directory))
        return cls(tuple(sorted(cells, key=_place)), directory=directory)

    def file_of(self, cell: CellResult) -> Path | None:
        """Return the path of a cell's file; None if the cells are of no directory."""
        if self.directory is None:
            return None
        return sweep_directory.file_of(
            self.directory, profile=cell.profile, model=cell.model, job=cell.job, key=cell.key
        )

    @property
    def heading(self) -> str:
        """What was swept: ``90 cells: 15 boards, 3 models``, and how many cells failed."""
        boards, models = ({getattr(cell, name) for cell in self.cells} for name in ("profile", "model"))
        failed = sum(cell.failed for cell in self.cells)
        parts = [counted(len(boards), "board"), counted(len(models), "model")]
        return f"{counted(len(self.cells), 'cell')}: {', '.join(parts)}{f'; {failed} failed' if failed else ''}"

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the options in which the cells differ."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.settings))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The machines on which figures of the cells were measured."""
        return tuple(
            dict.fromkeys(figure.host for cell in self.cells for figure in cell.figures.values() if figure.host)
        )

    def table(self, most: int | None = None) -> Table:
        """Return a row for each cell: board, model and options, the time with its band, other figures, the outcome.

        Args:
            most: leave out rows beyond this many.
        """
        varying = [name for name in (*_OWN, *self.settings) if self._varies(name)] or ["profile", "model"]
        figures = {
            name: head for name, head in _SHOWN.items() if any(cell.value(name) is not None for cell in self.cells)
        }
        rows = tuple(
            (
                *(_words(_fact(cell, name)) for name in varying),
                _time(cell),
                _band(cell),
                *(_cell(name, cell.figures.get(name)) for name in figures),
                outcome(cell),
            )
            for cell in self.cells[:most]
        )
        heads = (*varying, "device time, ms", "band, ms", *figures.values(), "result")
        return Table("cells", heads, rows, text=(*range(len(varying)), len(heads) - 1), keys=len(varying))

    def _varies(self, name: str) -> bool:
        """Return whether a fact tells cells apart; an option that one job alone takes does not by being left out."""
        values = {str(value) for cell in self.cells if (value := _fact(cell, name)) is not None}
        return name in ("profile", "model") or len(values) > 1

    def notes(self) -> Iterator[str]:
        """Yield why cells failed, each reason once, and what was left out."""
        failed = Counter(_why(cell) for cell in self.cells if cell.failed)
        names = {_why(cell): cell.name for cell in reversed(self.cells) if cell.failed}
        for why, count in failed.items():
            more = f" and {counted(count - 1, 'other cell')}" if count > 1 else ""
            yield f"{names[why]}{more}: {why}"
        unknown = Counter(cell.figures[TIME].note for cell in self.cells if TIME in cell.figures and _unknown(cell))
        for note, count in unknown.items():
            yield f"{counted(count, 'cell')}: {note}"
        marked = Counter(
            figure.note
            for cell in self.cells
            for name in _OF_THE_BOARD
            if (figure := cell.figures.get(name)) is not None
        )
        yield from (f"*: {note}" for note in marked if note)
        yield from (f"left out: {reason}" for reason in self.left_out)

    def rows(self) -> list[dict[str, Any]]:
        """Return the table for programs: a figure is named as rules name it, None where it is not known.

        A figure that is a machine's is named with the machine, ``latency_ms.p50@HOST``: the figures of two machines are
        no series.
        """
        names = dict.fromkeys(column(name, figure) for cell in self.cells for name, figure in cell.figures.items())
        return [self._row(cell, tuple(names)) for cell in self.cells]

    def _row(self, cell: CellResult, names: tuple[str, ...]) -> dict[str, Any]:
        known = {column(name, figure): figure.value for name, figure in cell.figures.items()}
        return {
            **{
                name: getattr(cell, name) for name in ("key", "job", "profile", "board", "model", "precision", "target")
            },
            **{name: cell.settings.get(name) for name in self.settings},
            "result": outcome(cell),
            **{name: known.get(name) for name in names},
            "error": cell.error.problem if cell.error is not None else None,
            "method": cell.method,
            "price": cell.price.amount if cell.price is not None else None,
            "currency": cell.price.currency if cell.price is not None else None,
            "seconds": cell.seconds,
            "host": cell.host,
            "created": cell.created,
            "edgesim_version": cell.edgesim_version,
        }

    def document(self) -> dict[str, Any]:
        """Return the overview for programs."""
        return {"heading": self.heading, "cells": self.rows(), "caveats": list(self.notes())}


def outcome(cell: CellResult) -> str:
    """Return the outcome of a cell, in a word or two: ``predicted``, ``VALID``, ``FAIL``, ``failed: OutOfMemory``."""
    if cell.error is not None:
        return f"failed: {cell.error.kind}"
    if cell.word is not None:
        return cell.word
    return "not predicted" if _unknown(cell) else "predicted"


def _unknown(cell: CellResult) -> bool:
    return not cell.failed and cell.job == "predict" and cell.value(TIME) is None


def _why(cell: CellResult) -> str:
    assert cell.error is not None, "only of a cell that failed"
    return f"{cell.error.problem}{f'; {cell.error.fix}' if cell.error.fix else ''}"


def column(name: str, figure: Figure) -> str:
    """Return the head of a figure's column: the figure's name, and the host if the figure is a host's."""
    return f"{name}@{figure.host}" if figure.host is not None else name


def _fact(cell: CellResult, name: str) -> Any:
    return getattr(cell, name) if name in _OWN else cell.settings.get(name)


def _place(cell: CellResult) -> tuple[Any, ...]:
    """Return the key by which cells are sorted."""
    facts = (cell.precision, cell.target, *(cell.settings[name] for name in sorted(cell.settings)))
    numbered = tuple((1, value, "") if isinstance(value, int | float) else (2, 0, str(value)) for value in facts)
    return cell.profile, cell.model, cell.job, numbered


def _words(value: Any) -> str:
    return "-" if value is None else str(value)


def _time(cell: CellResult) -> str:
    value = cell.value(TIME)
    return format_ms(value) if value is not None else "-"


def _band(cell: CellResult) -> str:
    figure = cell.figures.get(TIME)
    if figure is None or figure.low is None or figure.high is None:
        return "-"
    return f"{format_ms(figure.low)} to {format_ms(figure.high)}"


def _cell(name: str, figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "-"
    mark = "*" if name in _OF_THE_BOARD and figure.note else ""
    if name.endswith("_bytes"):
        return f"{format_bytes(figure.value)}{mark}"
    return f"{100 * figure.value:.2f} %{mark}" if name == "accuracy" else f"{figure.value:.3g}{mark}"
