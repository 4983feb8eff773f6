"""Reports as files: a module for each format, and the registry that finds the module by a file's suffix.

A new format is one module with the members of `Format`, and one line in `FORMATS`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from edgesim.errors import UsageError
from edgesim.reports.comparison import Comparison
from edgesim.reports.formats import csv_rows, html, json_summary, junit, markdown, parquet
from edgesim.reports.overview import Overview
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult


class Format(Protocol):
    """What a format's module has: its description, and a function for each kind of report.

    `file` is the name of the result file. A function raises UsageError, with the reason, for a report that the format
    has no form for, and HostError where a package that it needs is not installed.
    """

    DESCRIPTION: str

    def render_result(self, result: RunResult, file: str) -> str: ...

    def render_stack(self, result: StackResult, file: str) -> str: ...

    def render_comparison(self, comparison: Comparison) -> str: ...

    def render_overview(self, overview: Overview) -> str: ...

    def render_sweep(self, overview: SweepOverview) -> str: ...


FORMATS: Mapping[str, Format] = {
    ".html": html,
    ".md": markdown,
    ".json": json_summary,
    ".xml": junit,
    ".csv": csv_rows,
}
SUFFIXES = tuple(FORMATS)
# For the help of an option that takes a report's file.
FILE_HELP = "; ".join(
    f"{suffix}: {description}"
    for suffix, description in (
        *((suffix, format_.DESCRIPTION) for suffix, format_ in FORMATS.items()),
        (parquet.SUFFIX, parquet.DESCRIPTION),
    )
)


def format_of(path: Path) -> Format:
    """Return the format that a file's suffix stands for.

    Raises:
        UsageError: no format has this suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"{path}: this is not the suffix of a report", fix=f"give a file that ends in {', '.join(SUFFIXES)}"
        )
    return FORMATS[suffix]


def render_sweep(overview: SweepOverview, path: Path) -> bytes:
    """Return the file of a sweep's cells, in the format that the path's suffix stands for.

    Raises:
        UsageError: no format has this suffix.
        HostError: a package that the format needs is not installed.
    """
    if path.suffix.lower() == parquet.SUFFIX:
        return parquet.render_sweep(overview)
    return format_of(path).render_sweep(overview).encode(errors="replace")


def render(result: Recorded, format_: Format, file: str) -> str:
    """Return the report of a run or of a stack; `file` is the name of its result file.

    Raises:
        UsageError: the format has no form for it.
        HostError: a package that the format needs is not installed.
    """
    if isinstance(result, StackResult):
        return format_.render_stack(result, file)
    return format_.render_result(result, file)


def render_several(compared: Comparison | Overview, format_: Format) -> str:
    """Return the report of two results compared, or of several in one table.

    Raises:
        UsageError: the format has no form for it.
        HostError: a package that the format needs is not installed.
    """
    return format_.render_overview(compared) if isinstance(compared, Overview) else format_.render_comparison(compared)
