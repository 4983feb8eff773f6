"""Files that commands write: looked at before the work, and written with an error of our own."""

import os
from pathlib import Path

from edgesim.errors import ResultError


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


def write(path: Path, text: str) -> None:
    """Write a text; what is no letter in it, as from a broken log, becomes a question mark.

    Raises:
        ResultError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ResultError(f"{path}: cannot write: {error.strerror}") from error
