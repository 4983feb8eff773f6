"""Entries of the user's cache: directories that appear complete or not at all."""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesim.errors import DISK_FULL, DiskFull, HostError, of_limit
from edgesim.host.scratch import scratch_directory
from edgesim.units import format_bytes

# What `remove_unused` removes: large entries, which edgesim fetches or makes again.
_LARGE = ("packages", "base-*", "quantized")
_UNUSED_S = 30 * 24 * 3600
# Of an entry's name, in the name of its temporary directory; a file system allows 255 bytes.
_MOST_NAME = 80


def made(directory: Path) -> Path:
    """Make a directory of the cache, and return it.

    Raises:
        HostError: the directory cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, directory) from error
    return directory


@contextmanager
def new_entry(target: Path, *, needed_bytes: int = 0) -> Iterator[Path]:
    """Yield an empty directory to fill; it becomes `target` if the block succeeds, and is removed if the block fails.

    Two processes may make the same entry: the first to finish wins, and the other's copy is dropped.

    Args:
        needed_bytes: the most space that making the entry takes; checked before the work, since the tools that fill an
            entry report a full disk in many ways, and seldom clearly.

    Raises:
        DiskFull: no space is left.
        HostError: the directory cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(target.parent).free
        if free_bytes < needed_bytes:
            raise _disk_full(target, f": {format_bytes(free_bytes)} free, {format_bytes(needed_bytes)} needed")
        with scratch_directory(f".{target.name[:_MOST_NAME]}-", target.parent, ignore_cleanup_errors=True) as scratch:
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


def has(entry: Path) -> bool:
    """Return whether the cache has an entry; `remove_unused` then keeps it for a month."""
    if not entry.is_dir():
        return False
    with contextlib.suppress(OSError):  # a cache that this user can only read
        os.utime(entry)
    return True


def remove_unused(directory: Path, *, now_s: float | None = None) -> list[Path]:
    """Remove the large entries of a cache that nothing has used for a month; return them.

    Args:
        directory: of the cache.
        now_s: seconds since the epoch; None means now.
    """
    before_s = (now_s if now_s is not None else time.time()) - _UNUSED_S
    removed = []
    for entry in (entry for kind in _LARGE for entry in sorted(directory.glob(f"{kind}/[!.]*"))):
        with contextlib.suppress(OSError):  # another process removes the entry at the same time
            # The time of the inode's last change: an unpacked file system has the modification time of its archive.
            if entry.is_symlink() or not entry.is_dir() or entry.stat().st_ctime > before_s:
                continue
            # An entry disappears whole, as it appeared, even if something ends this process meanwhile.
            with scratch_directory(f".{entry.name[:_MOST_NAME]}-", entry.parent, ignore_cleanup_errors=True) as scratch:
                entry.rename(Path(scratch) / entry.name)
            removed.append(entry)
    return removed


def make_public(directory: Path) -> None:
    """Let all users read a directory, whatever the umask: a container's user is another than the one who made it.

    Raises:
        OSError: this user does not own the files.
    """
    for parent, _, names in os.walk(directory):
        for path in (Path(parent), *(Path(parent) / name for name in names)):
            mode = path.lstat().st_mode
            public = mode | (0o555 if mode & 0o100 else 0o444)
            if public != mode and not path.is_symlink():
                path.chmod(public & 0o7777)


def explain(error: OSError, path: Path) -> HostError:
    """Return edgesim's error for a failed write below `path`."""
    if error.errno in DISK_FULL:
        return _disk_full(path)
    problem = f"cannot write {path}: {error.strerror}"
    return of_limit(error, problem) or HostError(problem, fix="set EDGESIM_CACHE_DIR to a directory that you can write")


def _disk_full(path: Path, figures: str = "") -> DiskFull:
    return DiskFull(
        f"no space left on the disk of {path}{figures}",
        fix=f"free some space there (df -h {path.parent}), or set EDGESIM_CACHE_DIR to a directory with enough space",
    )
