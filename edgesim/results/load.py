"""The reader of result files of both kinds: of a run, and of a stack."""

from pathlib import Path

from edgesim.results import result_file
from edgesim.results.result_file import OtherKindOfResult
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult

Recorded = RunResult | StackResult


def load(path: Path | str) -> Recorded:
    """Read a result file: a `RunResult`, or the `StackResult` of a stack.

    Raises:
        UsageError: `path` is no path.
        ResultError: the file cannot be read, or is not a result file.
    """
    path = result_file.path_of(path, "path")
    document = result_file.document(path)
    try:
        return result_file.validated(RunResult, document, path)
    except OtherKindOfResult:
        return result_file.validated(StackResult, document, path)
