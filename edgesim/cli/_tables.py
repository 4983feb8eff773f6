"""The plain tables and lists of facts of commands: services of a stack, volumes, a profile's data sheet."""

from collections.abc import Collection, Iterable, Sequence

from edgesim.reports.formats.text_layout import Entries, Entry, TextTable
from edgesim.reports.tables import Table


def text_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    figures: Collection[str] = (),
    shortened: Collection[str] = (),
    keys: int = 1,
    last_row_style: str = "",
) -> TextTable:
    """Return a table that fits any terminal: no figure is cut, no line is padded.

    Args:
        figures: heads of the columns that hold figures, which are aligned to the right.
        shortened: heads of the columns whose cells may lose their middle on a narrow terminal.
        keys: how many columns, from the first on, say what a row is about.
    """
    words = tuple(number for number, head in enumerate(heads) if head not in figures)
    table = Table(title, tuple(heads), tuple(tuple(row) for row in rows), text=words, keys=keys)
    return TextTable(
        table,
        titled=bool(title),
        last_row_style=last_row_style,
        shortened=tuple(number for number, head in enumerate(heads) if head in shortened),
    )


def fact_list(facts: Iterable[tuple[str, str]]) -> Entries:
    """Return labels with words beside them, which are folded between words on a terminal."""
    return Entries([Entry(((label, "bold"),), words) for label, words in facts])
