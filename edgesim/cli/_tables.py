"""The plain tables of commands: services of a stack, volumes, counters."""

from collections.abc import Collection, Iterable, Sequence

from edgesim.reports.formats.text_layout import TextTable
from edgesim.reports.tables import Table


def text_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, figures: Collection[str] = (), last_row_style: str = ""
) -> TextTable:
    """Return a table without a title that fits any terminal: no cell is cut, no line is padded.

    Args:
        figures: heads of the columns that hold figures, which are aligned to the right.
    """
    words = tuple(number for number, head in enumerate(heads) if head not in figures)
    table = Table("", tuple(heads), tuple(tuple(row) for row in rows), text=words)
    return TextTable(table, titled=False, last_row_style=last_row_style)
