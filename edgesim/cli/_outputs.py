"""Files that commands write: looked at before the work, and written with an error of our own."""

import os
from collections.abc import Iterable
from pathlib import Path

from edgesim.errors import ResultError, UsageError
from edgesim.results.result_file import write_text


def require_writable(path: Path, option: str = "-o") -> None:
    """Before the work, not after it.

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
    """Several files, by their options: each can be written, none is another one or what is read.

    Raises:
        ResultError: one cannot be written.
        UsageError: one would take the place of another.
    """
    taken = {path.resolve(): "what is read" for path in inputs if path is not None}
    for option, path in outputs:
        if path is None:
            continue
        if other := taken.get(path.resolve()):
            raise UsageError(f"{option} {path}: is {other}, too", fix=f"give {option} another file")
        taken[path.resolve()] = f"{option}'s" if option == "-o" else f"that of {option}"
        require_writable(path, option)


def make_directory(directory: Path, option: str = "-o") -> None:
    """A directory that files can be written to, before the work.

    Raises:
        ResultError: it cannot be made, or not be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{directory}: cannot be made: {error.strerror}", fix=f"give {option} a directory") from error
    if not os.access(directory, os.W_OK):
        raise ResultError(f"{directory}: cannot be written", fix=f"give {option} a directory that you can write")


def write(path: Path, text: str) -> None:
    """Write a text; what is no letter in it, as from a broken log, becomes a question mark.

    Raises:
        ResultError: it cannot be written.
    """
    write_text(path, text, what="it", fix="another file, in a directory that has space")
