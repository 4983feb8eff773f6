"""Whether a process does something, or would if this host let it: a process that gets no CPU is none that hangs."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

_LOOKS, _BETWEEN_S = 5, 0.1
# States of a thread in /proc/PID/stat (proc(5)): running or waiting for a CPU, and waiting for the disk.
_AT_WORK = frozenset("RD")


def is_busy(pid: int, *, sleep: Callable[[float], object] = time.sleep) -> bool:
    """Return whether a thread of a process, or of its descendants, runs or waits for a CPU or the disk.

    A single look may meet a thread between two pieces of work.
    """
    for look in range(_LOOKS):
        if look:
            sleep(_BETWEEN_S)
        if any(_is_at_work(process) for process in _family(pid)):
            return True
    return False


def _family(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return []


def _is_at_work(pid: int) -> bool:
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            # The name before the state is in parentheses, and may have any letters.
            state = stat.read_text(errors="replace").rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if state in _AT_WORK:
            return True
    return False
