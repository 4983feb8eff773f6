"""The directory of a sweep's results: one file for each cell, named by the digest of what determines its result.

``cells/jetson-nano.digits.predict.0f1e….json`` is a cell's result. Beside it, ``….result.json`` is the result of its
run, and ``….verdict.json`` the verdict of its check, as `edgesim run -o` and `edgesim check --json` write them.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from edgesim.errors import ResultError
from edgesim.results.cell_result import CellResult
from edgesim.results.result_file import CELLS as CELLS

_REPORTS = {"run": ".result.json", "check": ".verdict.json"}
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_LETTERS = 60


def file_of(directory: Path, *, profile: str, model: str, job: str, key: str) -> Path:
    """Return the path of a cell's file."""
    words = _NAME.sub("_", f"{profile}.{model}")[:_MOST_LETTERS]
    return directory / CELLS / f"{words}.{job}.{key}.json"


def report_of(file: Path, job: str) -> Path | None:
    """Return the path of the file beside a cell's that has its whole result; None for a prediction, which has none."""
    return file.with_name(file.stem + _REPORTS[job]) if job in _REPORTS else None


def is_sweep(directory: Path) -> bool:
    """Return whether a path is the directory of a sweep."""
    return (directory / CELLS).is_dir()


def read(directory: Path) -> list[CellResult]:
    """Read the results of all cells in the directory of a sweep, in the order of their files.

    Raises:
        ResultError: there are none, or a file is not a cell's.
    """
    files = [
        file
        for file in sorted((directory / CELLS).glob("[!.]*.json"))
        if not file.name.endswith(tuple(_REPORTS.values()))
    ]
    if not files:
        raise ResultError(f"{directory}: contains no result of a sweep", fix=f"edgesim sweep … -o {directory}")
    return [CellResult.read(file) for file in files]


def newest(results: Iterable[CellResult]) -> list[CellResult]:
    """Return the newest result of each cell, where a model, a profile or edgesim has changed since an older one.

    Results of one cell that different hosts measured are kept: they are no versions of each other.
    """
    chosen: dict[tuple[str, ...], CellResult] = {}
    for result in results:
        identity = (result.job, result.name, result.host if result.job == "run" else "")
        other = chosen.get(identity)
        if other is None or other.created <= result.created:
            chosen[identity] = result
    return list(chosen.values())
