"""Temporary directories and files that no interrupt leaves behind, and whose names tell their owner if SIGKILL does."""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesim import paths
from edgesim.errors import DISK_FULL, DiskFull, HostError, of_limit
from edgesim.host.owner import Owner, is_left_behind
from edgesim.host.signals import deferred


def scratch_directory(
    prefix: str = "edgesim-", parent: Path | None = None, *, ignore_cleanup_errors: bool = False
) -> TemporaryDirectory[str]:
    """Make a temporary directory, for a ``with`` statement; its name has its owner.

    Ctrl-C between the making of the directory and the directory's finalizer would leave the directory behind: Ctrl-C
    waits until both are there. From then on the finalizer removes the directory, however the program ends, but for
    SIGKILL. What SIGKILL has left in `parent` is removed first.

    Args:
        parent: where the directory is made; None means the system's place for temporary files.
        ignore_cleanup_errors: leave what cannot be removed, without an error.

    Raises:
        HostError: no place for temporary files can be written.
    """
    directory: TemporaryDirectory[str] | None = None
    try:
        place = parent if parent is not None else Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # what tempfile raises after it has tried TMPDIR, /tmp and others
        raise HostError(
            "no temporary directory can be written: neither TMPDIR nor /tmp, /var/tmp and the working directory",
            fix="set TMPDIR to a directory that you can write, on a disk that has space",
        ) from error
    _remove_once(place)
    name = f"{prefix}{Owner.this_process().file_name}-"
    try:
        with deferred():
            directory = TemporaryDirectory(prefix=name, dir=place, ignore_cleanup_errors=ignore_cleanup_errors)
    except KeyboardInterrupt:
        if directory is not None:
            directory.cleanup()
        raise
    return directory


def scratch_file(target: Path) -> Path:
    """Return the path of a new file beside `target`, to be written and then renamed to `target`; it has its owner.

    What SIGKILL has left there is removed first.
    """
    _remove_once(target.parent)
    return target.with_name(f".{target.name}-{Owner.this_process().file_name}")


def remove_left_behind() -> list[Path]:
    """Remove the temporary files of processes that have ended, in their place and in the user's cache; return them.

    What this user may not remove, such as another user's directory, stays.
    """
    parents: list[Path] = []
    with contextlib.suppress(FileNotFoundError):  # no place can be written
        parents.append(Path(tempfile.gettempdir()))
    with contextlib.suppress(HostError):  # a user without a home has no cache
        cache = paths.cache_directory()
        parents += [cache, *cache.glob("*/"), *cache.glob("*/*/")]  # as deep as entries are made
    return [path for parent in parents for path in _remove_in(parent)]


@functools.cache
def _remove_once(parent: Path) -> None:
    """Remove what was left behind in a directory; look once, since a look into a full directory takes time."""
    _remove_in(parent)


def _remove_in(parent: Path) -> list[Path]:
    removed = []
    for path in _left_behind(parent):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
        if not path.exists():
            removed.append(path)
    return removed


def _left_behind(parent: Path) -> Iterator[Path]:
    try:
        found = sorted(parent.iterdir())
    except OSError:
        return
    yield from (path for path in found if is_left_behind(path.name))


def full_disk(what: str, *directories: Path) -> DiskFull:
    """Return the error of a disk that got full while a program wrote `what`.

    A program such as pip writes to `directories` and to the directory of temporary files, and does not say which disk
    is full: the error names the one with the least space.
    """
    temporary = Path(tempfile.gettempdir())
    fullest = min((*directories, temporary), key=lambda directory: shutil.disk_usage(directory).free)
    elsewhere = ", or set TMPDIR to a directory with enough space" if fullest == temporary else ""
    return DiskFull(f"no space left for {what} in {fullest}", fix=f"free some space there: df -h {fullest}{elsewhere}")


@contextlib.contextmanager
def full_disk_is_told(what: str) -> Iterator[None]:
    """Tell a disk that gets full, or a limit of this process, while the block writes scratch files.

    Raises:
        DiskFull: no space is left for `what`.
        HostError: a limit of this process forbids a file.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise full_disk(what) from error
        if (limited := of_limit(error, f"cannot write {what}: {error.strerror}")) is not None:
            raise limited from error
        raise
