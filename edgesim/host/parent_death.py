"""Child processes in a session of their own end with edgesim, even if SIGKILL ends edgesim."""

import ctypes
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when the thread that started it ends (prctl(2), Linux).

    Run in the new process, as `preexec_fn`.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
