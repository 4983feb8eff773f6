"""Real-time priority: this thread runs when it is due, on a host that the board under test keeps busy."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_TIMERSLACK = 29  # prctl(2)


@contextmanager
def real_time_priority() -> Iterator[bool]:
    """Within the block, run this thread on time; yield whether the thread has real-time priority.

    The kernel may not delay the thread's wake-ups to combine them with others (by default up to 50 µs). If this user
    is permitted (root, CAP_SYS_NICE, RLIMIT_RTPRIO), the thread also runs before all ordinary threads: requests that
    were 2 ms late beside a board on the same two cores were 0.2 ms late with real-time priority. The thread takes no
    more CPU time than before: it sleeps as long.
    """
    if not hasattr(os, "sched_getscheduler"):  # macOS, Windows
        yield False
        return
    _set_timer_slack(1)
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        # SCHED_RESET_ON_FORK: threads that are started within the block are ordinary ones.
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        real_time = True
    except OSError:
        real_time = False
    try:
        yield real_time
    finally:
        if real_time:
            os.sched_setscheduler(0, policy, parameters)
        _set_timer_slack(0)


def _set_timer_slack(nanoseconds: int) -> None:
    """Set how late the kernel may wake this thread; 0 restores the default."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)
