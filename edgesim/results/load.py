"""Result files for Python: a path → a result."""

from pathlib import Path

from edgesim.results.stack_result import Recorded, read


def load(path: Path | str) -> Recorded:
    """Read a result file: a `RunResult`, or the `StackResult` of a stack.

    Raises:
        ResultError: there is no such file, or it is not a result.
    """
    return read(Path(path))
