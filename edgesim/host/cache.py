"""Entries of the user's cache: whole directories that appear at once or not at all."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesim.errors import DiskFull, HostError
from edgesim.units import format_bytes


@contextmanager
def new_entry(target: Path, *, needed_bytes: int = 0) -> Iterator[Path]:
    """An empty directory to fill, which becomes `target` when the block ends well and goes away when it does not.

    Two processes that make the same entry do no harm: the first to finish wins, and the other's copy is dropped.

    Args:
        needed_bytes: what making the entry takes at its peak; looked at first, since the tools that fill an entry
            fail in many words when the disk is full, and seldom in these.

    Raises:
        DiskFull: no space is left.
        HostError: the directory cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(target.parent).free
        if free_bytes < needed_bytes:
            raise _disk_full(target, f": {format_bytes(free_bytes)} free, {format_bytes(needed_bytes)} needed")
        with tempfile.TemporaryDirectory(
            prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True
        ) as scratch:
            entry = Path(scratch) / target.name
            entry.mkdir()
            yield entry
            try:
                entry.rename(target)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
    except OSError as error:
        raise explain(error, target) from error


def explain(error: OSError, path: Path) -> HostError:
    """The error of this tree for a failed write below `path`."""
    if error.errno == errno.ENOSPC:
        return _disk_full(path)
    return HostError(
        f"cannot write {path}: {error.strerror}", fix="set EDGESIM_CACHE_DIR to a directory that you can write"
    )


def _disk_full(path: Path, figures: str = "") -> DiskFull:
    return DiskFull(
        f"no space left on the disk of {path}{figures}",
        fix=f"free some space there (df -h {path.parent}), or set EDGESIM_CACHE_DIR to a place that has it",
    )
