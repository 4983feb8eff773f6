"""The resources of a process and its descendants, for a container without a control group of its own."""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from edgesim.host import cgroup
from edgesim.recording import Reading

SOURCE = "the container's processes"


class ProcessFigures:
    """Reads a process of this host and its descendants, added up; any user may read them.

    A process that has ended counts only through its parent, which has waited for it.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._pid, self._proc = pid, proc
        self._peak_bytes = 0

    def read(self) -> Reading:
        """Return a reading; all figures are None if the process has ended."""
        cpu_seconds, resident, anonymous, processes, threads = 0.0, 0, 0, 0, 0
        for pid in self._family(self._pid):
            with contextlib.suppress(psutil.Error, OSError):  # it has ended meanwhile
                process = psutil.Process(pid)
                with process.oneshot():
                    cpu_seconds += sum(process.cpu_times()[:4])  # of its own, and of children it has waited for
                    resident += process.memory_info().rss
                    threads += process.num_threads()
                anonymous += _anonymous_bytes(self._proc / str(pid) / "status")
                processes += 1
        if not processes:
            return Reading(at_ns=time.monotonic_ns(), cpu_seconds=None, memory_bytes=None)
        self._peak_bytes = max(self._peak_bytes, resident)
        received, sent = cgroup.network_bytes(self._proc / str(self._pid) / "net" / "dev")
        return Reading(
            at_ns=time.monotonic_ns(),
            cpu_seconds=cpu_seconds,
            memory_bytes=resident,
            memory_peak_bytes=self._peak_bytes,
            memory_peak_source="largest resident sets seen",
            memory_anon_bytes=anonymous,
            memory_unreclaimable_bytes=anonymous,
            received_bytes=received,
            sent_bytes=sent,
            processes=processes,
            threads=threads,
        )

    def _family(self, pid: int) -> Iterator[int]:
        yield pid
        for children in self._proc.glob(f"{pid}/task/*/children"):
            with contextlib.suppress(OSError):
                for child in children.read_text().split():
                    yield from self._family(int(child))


def _anonymous_bytes(status: Path) -> int:
    """Return the anonymous memory of a process, with what it has on tmpfs, as the kernel cannot give it back."""
    found = re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return 1024 * sum(map(int, found))
