"""Tables of a stack's services."""

from collections.abc import Sequence

from rich.table import Table

from edgesim.stacks.resolve import ResolvedService
from edgesim.units import format_bytes


def new_table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns of numbers come last."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def limits(service: ResolvedService) -> tuple[str, str]:
    """Return a service's own limits of memory and CPUs; a dash where only the board's limit applies."""
    memory = format_bytes(service.memory_bytes) if service.spec.memory is not None else "-"
    return memory, f"{service.cpus:g}" if service.spec.cpus is not None else "-"
