"""Child processes in a session of their own end with edgesim, even if SIGKILL ends edgesim."""

import contextlib
import ctypes
import os
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9  # Windows' `signal` lacks it


def end_with_parent(number: int = _SIGKILL) -> None:
    """Have the kernel send this process a signal when the thread that started it ends (prctl(2), Linux).

    Run in the new process, as `preexec_fn`. macOS has no such call: a process may outlive a SIGKILL of edgesim there.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


# As `preexec_fn`, which Windows does not support.
AT_START: Callable[[], None] | None = end_with_parent if os.name == "posix" else None
