"""Files that commands write: tested before the work, and written with errors of edgesim."""

import os
from collections.abc import Iterable
from pathlib import Path

from edgesim.errors import ResultError, UsageError
from edgesim.results.result_file import write_bytes


def require_writable(path: Path, option: str = "-o") -> None:
    """Test before the work that a file can be written.

    Raises:
        ResultError: it cannot be written.
    """
    if path.is_dir():
        raise ResultError(f"{path}: is a directory", fix=f"give {option} a file")
    if not path.parent.is_dir():
        raise ResultError(f"{path}: its directory does not exist", fix=f"mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ResultError(f"{path}: cannot be written", fix=f"give {option} a file in a directory that you can write")


def require_outputs(outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[Path | None] = ()) -> None:
    """Test before the work that files, each with its option, can be written, and that no two are the same file.

    Args:
        inputs: files that the command reads; none of them may be written.

    Raises:
        ResultError: a file cannot be written.
        UsageError: a file would replace another one.
    """
    taken = {path.resolve(): "an input" for path in inputs if path is not None}
    for option, path in outputs:
        if path is None:
            continue
        if other := taken.get(path.resolve()):
            raise UsageError(f"{option} {path}: is also {other}", fix=f"give {option} another file")
        taken[path.resolve()] = f"the file of {option}"
        require_writable(path, option)


def make_directory(directory: Path, option: str = "-o") -> None:
    """Make a directory, before the work, that files can be written to.

    Raises:
        ResultError: it cannot be made or written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{directory}: cannot be made: {error.strerror}", fix=f"give {option} a directory") from error
    if not os.access(directory, os.W_OK):
        raise ResultError(f"{directory}: cannot be written", fix=f"give {option} a directory that you can write")


def write(path: Path, content: str | bytes) -> None:
    """Write a file; a character of a text that UTF-8 cannot hold, as from a broken log, becomes a question mark.

    Raises:
        ResultError: the file cannot be written.
    """
    data = content.encode(errors="replace") if isinstance(content, str) else content
    write_bytes(path, data, what="it", fix="another file, in a directory that has space")
