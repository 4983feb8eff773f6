"""Parquet: a row for each cell of a sweep. Needs pyarrow, which the `parquet` extra installs."""

import io
from typing import Any

from edgesim.errors import HostError
from edgesim.reports.sweep_overview import SweepOverview

SUFFIX = ".parquet"
DESCRIPTION = "a row for each cell of a sweep"


def render_sweep(overview: SweepOverview) -> bytes:
    """Return the file.

    Raises:
        HostError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("pyarrow"):
            raise
        raise HostError(
            "a Parquet file needs pyarrow, which is not installed", fix="pip install 'edgesim[parquet]'"
        ) from error
    rows = overview.rows()
    columns = {name: _one_type([row[name] for row in rows]) for name in rows[0]}
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


def _one_type(values: list[Any]) -> list[Any]:
    """Return the values of a column, which has one type in Parquet: texts, if they differ."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2:
        return values
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
