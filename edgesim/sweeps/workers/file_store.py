"""Files of cells that have come to this machine, kept in the user's cache by their content.

A tree of files comes once, in pieces, and serves all workers of the machine and all later sweeps. A tree that was not
used for a month is removed.
"""

import os
import shutil
import time
from pathlib import Path

from edgesim import paths
from edgesim.errors import HostError
from edgesim.host.cache import explain
from edgesim.sweeps.file_tree import FileTree, file_sha256

_KEPT_S = 30 * 24 * 3600.0
_PARTIAL = ".partial"


def directory_of(tree: FileTree) -> Path:
    """Return the directory for the files of a tree, which need not exist yet."""
    return _root() / tree.sha256[:32]


def has(tree: FileTree) -> bool:
    """Return whether this machine has the files of a tree; if so, keep the files for another month."""
    directory = directory_of(tree)
    try:
        os.utime(directory)
    except OSError:
        return False
    return True


def write(sender: str, tree_sha256: str, path: str, piece: bytes) -> None:
    """Append a piece to a file of a tree that is being sent.

    Args:
        sender: the sender of the tree; two senders may send the same tree at a time.

    Raises:
        HostError, DiskFull: the file cannot be written.
    """
    file = _arriving(sender, tree_sha256) / path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as opened:
            opened.write(piece)
    except OSError as error:
        raise explain(error, file) from error


def finish(sender: str, tree: FileTree) -> None:
    """Keep a tree whose pieces are complete.

    Raises:
        HostError: the digest of a file is wrong, or the directory cannot be written.
    """
    arrived, directory = _arriving(sender, tree.sha256), directory_of(tree)
    try:
        for file in tree.files:
            if file_sha256(arrived / file.path) != file.sha256:
                raise HostError(f"{file.path}: changed while it was sent", fix="start the sweep again")
        if not has(tree):
            arrived.rename(directory)
    except OSError as error:
        raise explain(error, arrived) from error
    finally:
        shutil.rmtree(arrived, ignore_errors=True)
    _remove_unused()


def _root() -> Path:
    return paths.cache_directory() / "sweep-files"


def _arriving(sender: str, tree_sha256: str) -> Path:
    return _root() / _PARTIAL / f"{sender}-{tree_sha256[:32]}"


def _remove_unused() -> None:
    oldest_s = time.time() - _KEPT_S
    for directory in (*_root().glob("[0-9a-f]*"), *_root().glob(f"{_PARTIAL}/*")):
        if directory.stat().st_mtime < oldest_s:
            shutil.rmtree(directory, ignore_errors=True)
