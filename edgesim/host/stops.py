"""Processes that a signal stops (SIGSTOP, Ctrl-Z), and that go on at SIGCONT: a request then takes as long as the stop.

A busy host stops no process in this sense: a process that waits for a CPU has another state in the kernel.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STOPPED = "T"  # in /proc/PID/stat (proc(5)); a process that a debugger holds has another state
_CONTINUED = getattr(signal, "SIGCONT", None)  # Windows has none


class StopsOf:
    """The seconds in which a signal stopped another process, as found by looking at the process repeatedly.

    Args:
        pid: of a process of this host.
    """

    def __init__(self, pid: int, *, proc: Path = Path("/proc"), clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._stat, self._clock = proc / str(pid) / "stat", clock
        self._since_ns: int | None = None
        self._total_ns = 0

    def look(self) -> None:
        """Look at the process now: a stop counts from the first look that finds it to the first that does not."""
        now = self._clock()
        stopped = self._is_stopped()
        if stopped and self._since_ns is None:
            self._since_ns = now
        elif not stopped and self._since_ns is not None:
            self._total_ns += now - self._since_ns
            self._since_ns = None

    @property
    def seconds(self) -> float:
        """All stops together; a process that is still stopped counts until now."""
        going_on = self._clock() - self._since_ns if self._since_ns is not None else 0
        return (self._total_ns + going_on) / 1e9

    def _is_stopped(self) -> bool:
        try:
            # The name before the state is in parentheses, and may have any letters.
            return self._stat.read_text(errors="replace").rpartition(")")[2].split()[0] == _STOPPED
        except (OSError, IndexError):
            return False


@contextmanager
def noted() -> Iterator[list[int]]:
    """Yield the moments at which this process was told to continue within the block, on `time.monotonic_ns`.

    Whether the process had been stopped, the caller has to see: some shells send SIGCONT to a process that runs. The
    list stays empty outside the main thread, which handles all signals, and beside another handler.
    """
    moments: list[int] = []
    if (
        _CONTINUED is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(_CONTINUED) is not signal.SIG_DFL
    ):
        yield moments
        return
    signal.signal(_CONTINUED, lambda *_: moments.append(time.monotonic_ns()))
    try:
        yield moments
    finally:
        signal.signal(_CONTINUED, signal.SIG_DFL)
