"""Temporary directories that no interrupt leaves behind."""

import tempfile
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesim.errors import HostError
from edgesim.host.signals import deferred


def scratch_directory(
    prefix: str = "edgesim-", parent: Path | None = None, *, ignore_cleanup_errors: bool = False
) -> TemporaryDirectory[str]:
    """Make a temporary directory, for a ``with`` statement.

    Ctrl-C between the making of the directory and the directory's finalizer would leave the directory behind: Ctrl-C
    waits until both are there. From then on the finalizer removes the directory, however the program ends, but for
    SIGKILL.

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
    try:
        with deferred():
            directory = TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=ignore_cleanup_errors)
    except KeyboardInterrupt:
        if directory is not None:
            directory.cleanup()
        raise
    return directory
