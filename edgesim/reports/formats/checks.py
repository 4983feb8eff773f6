"""A check on the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgesim.results.verdict import Verdict, VerdictWord

_STYLES: dict[VerdictWord, str] = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}


def render(check: Verdict) -> RenderableType:
    """A table of the items, and the verdict of the whole."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for item in check.items:
        table.add_row(Text(item.verdict, style=_STYLES[item.verdict]), Text(item.name, style="bold"), item.finding)
    heading = Text.assemble((f"{check.model} on {check.board}", "bold"), f", {check.execution or 'did not run'}")
    return Group(heading, Text(), table, Text(), Text(check.word, style=_STYLES[check.word]))
