"""The blocks of a text report, as Rich renderables that fit any width.

Rich's own tables cut a figure that has no room (``3920.…``) and pad every line with blanks to the table's width. Here a
table that is too wide is shown in parts one below the other, words are broken at blanks only and never between a number
and its unit, and no line ends in a blank. With Rich's `no_wrap` option a block is as wide as its text.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgesim.reports.tables import Table

_GAP = "  "
# Words beside their label need as many columns as this; with fewer they go on the lines below the label.
_LEAST_ROOM = 30
# A shortened cell keeps as many letters as this.
_LEAST_CELL = 16
_NO_BREAK = "\u00a0"


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` letters, at blanks that do not follow a digit or stand beside a ``=``.

    Only a word that is longer than a whole line, such as a path, is broken within.
    """
    joined = re.sub(r"(?<=[\d=]) (?=\S)| (?==)", _NO_BREAK, text)
    return [line.replace(_NO_BREAK, " ") for line in textwrap.wrap(joined, width, break_on_hyphens=False)] or [""]


def _width(options: ConsoleOptions) -> int:
    return 1_000_000 if options.no_wrap else options.max_width


@dataclass(frozen=True)
class Paragraph:
    """Words in one style, wrapped; the first `bold` letters are bold."""

    words: str
    style: str = ""
    bold: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bold = self.bold
        for line in wrap(self.words, _width(options)):
            text = Text(line, style=self.style)
            text.stylize("bold", 0, max(bold, 0))
            bold -= len(line) + 1
            yield text


@dataclass(frozen=True)
class Entry:
    """One line of a list: labels with their styles, then words.

    `lead` stands out before the words; `notes` follow on lines of their own.
    """

    labels: tuple[tuple[str, str], ...]
    words: str
    lead: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entries:
    """A list whose labels stand in columns, with the words wrapped to the right of them."""

    entries: Sequence[Entry]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = zip(*(entry.labels for entry in self.entries), strict=True)
        widths = [max(cell_len(label) for label, _ in column) for column in columns]
        indent = sum(widths) + len(_GAP) * len(widths)
        room = _width(options) - indent
        for entry in self.entries:
            labels = Text(_GAP).join(
                Text(_padded(label, width), style) for (label, style), width in zip(entry.labels, widths, strict=True)
            )
            if room >= _LEAST_ROOM:
                yield from _beside(labels, _lines(entry, room), indent)
            else:
                labels.rstrip()
                yield labels
                for line in _lines(entry, _width(options) - len(_GAP)):
                    yield Text(_GAP) + line


def _beside(labels: Text, lines: Iterator[Text], indent: int) -> Iterator[Text]:
    first = labels + _GAP + next(lines)
    first.rstrip()
    yield first
    for line in lines:
        yield Text(" " * indent) + line


def _lines(entry: Entry, room: int) -> Iterator[Text]:
    words = _GAP.join(part for part in (entry.lead, entry.words) if part)
    for number, line in enumerate(wrap(words, room)):
        text = Text(line)
        if number == 0:
            text.stylize("bold", 0, len(entry.lead))
        yield text
    for note in entry.notes:
        yield from (Text(line, style="dim") for line in wrap(note, room))


@dataclass(frozen=True)
class TextTable:
    """A table in columns that are as wide as their widest cell.

    What is wider than the terminal is shown in parts one below the other, each with the columns that say what a row is
    about. Before that, the cells of the columns `shortened` lose their middle if the table then fits in fewer parts,
    such as the long names of a graph's nodes: ``/enc…/MatMul``.
    """

    table: Table
    titled: bool = True
    last_row_style: str = ""
    shortened: tuple[int, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = _width(options)
        table = self._fitted(width)
        if self.titled:
            yield Paragraph(table.title)
            yield Text()
        widths = [max(map(cell_len, column)) for column in zip(table.heads, *table.rows, strict=True)]
        for number, columns in enumerate(_parts(widths, width, table.keys)):
            if number:
                yield Text()
            yield Text(self._line(table.heads, columns, widths), style="dim")
            for row in table.rows:
                style = self.last_row_style if row is table.rows[-1] else ""
                yield Text(self._line(row, columns, widths), style=style)

    def _fitted(self, width: int) -> Table:
        """Return the table, with shortened cells if that saves a part."""
        widths = [max(map(cell_len, column)) for column in zip(self.table.heads, *self.table.rows, strict=True)]
        if not self.shortened or sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
            return self.table
        others = sum(needed + len(_GAP) for i, needed in enumerate(widths) if i not in self.shortened)
        room = max((width - others) // len(self.shortened) - len(_GAP), _LEAST_CELL)
        shorter = [min(needed, room) if i in self.shortened else needed for i, needed in enumerate(widths)]
        if len(_parts(shorter, width, self.table.keys)) == len(_parts(widths, width, self.table.keys)):
            return self.table
        rows = tuple(
            tuple(_without_middle(cell, room) if i in self.shortened else cell for i, cell in enumerate(row))
            for row in self.table.rows
        )
        return self.table._replace(rows=rows)

    def _line(self, cells: Sequence[str], columns: Iterable[int], widths: Sequence[int]) -> str:
        padded = (_padded(cells[i], widths[i], right=i not in self.table.text) for i in columns)
        return _GAP.join(padded).rstrip()


def _parts(widths: Sequence[int], width: int, keys: int) -> list[list[int]]:
    """Return the numbers of the columns in each part; each part begins with the columns that say what a row is about.

    Where these leave no room for any other column, each part begins with the first column alone.
    """
    taken = sum(widths[:keys]) + len(_GAP) * (keys - 1)
    if taken + len(_GAP) + max(widths[keys:], default=0) > width:
        keys, taken = 1, widths[0]
    begin, begun = list(range(keys)), taken
    parts = [[*begin]]
    for column, needed in enumerate(widths[keys:], start=keys):
        if taken + len(_GAP) + needed > width and len(parts[-1]) > keys:
            parts.append([*begin])
            taken = begun
        parts[-1].append(column)
        taken += len(_GAP) + needed
    return parts


def _without_middle(text: str, width: int) -> str:
    """Return text of at most `width` letters; of a longer one, the beginning and the end, which tells more."""
    if cell_len(text) <= width:
        return text
    begin = (width - 1) // 3
    return f"{text[:begin]}…{text[len(text) - (width - 1 - begin) :]}"


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks
