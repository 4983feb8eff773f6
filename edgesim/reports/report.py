"""Reports for Python: a result → a file."""

from pathlib import Path

from edgesim.reports import formats
from edgesim.results.load import Recorded
from edgesim.results.result_file import write_text


def report(result: Recorded, path: Path | str) -> None:
    """Write a report of a run or of a stack; the suffix of `path` is the format, see `formats.SUFFIXES`.

    Raises:
        UsageError: no format has this suffix.
        HostError: a package that the format needs is not installed.
        ResultError: the file cannot be written.
    """
    path = Path(path)
    text = formats.render(result, formats.format_of(path), path.with_suffix(".json").name)
    write_text(path, text, what="the report", fix="another file, in a directory that has space")
