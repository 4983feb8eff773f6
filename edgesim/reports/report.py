"""Reports for Python: a result → a file."""

from pathlib import Path

from edgesim.reports import formats
from edgesim.results.load import Recorded, load
from edgesim.results.result_file import path_of, write_text
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult


def report(result: Recorded | Path | str, path: Path | str) -> None:
    """Write a report of a run or of a stack; the suffix of `path` is the format, see `formats.SUFFIXES`.

    Args:
        result: a result, or its file.

    Raises:
        UsageError: no format has this suffix, or an argument is something else.
        HostError: a package that the format needs is not installed.
        ResultError: the result cannot be read, or the report cannot be written.
    """
    if not isinstance(result, RunResult | StackResult):
        result = load(path_of(result, "result", or_else="a result"))
    path = path_of(path, "path")
    text = formats.render(result, formats.format_of(path), path.with_suffix(".json").name)
    write_text(path, text, what="the report", fix="another file, in a directory that has space")
