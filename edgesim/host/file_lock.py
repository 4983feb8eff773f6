"""Locks on open files, which the kernel releases when a process ends.

Windows has no such locks: two processes of a user may then do the same work at once, and the later one's files stay.
"""

from typing import IO, Any

try:
    import fcntl
except ImportError:

    def take(file: IO[Any], *, wait: bool) -> None:
        """Take nothing: this system has no locks."""

else:

    def take(file: IO[Any], *, wait: bool) -> None:
        """Take the lock of a file.

        Raises:
            BlockingIOError: another process has it, and this one is not to `wait`.
        """
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
