"""The metrics of the server's own process, by Prometheus' usual names."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

_STATM = Path("/proc/self/statm")
_OWN = ("process_cpu_seconds", "process_virtual_memory_bytes", "process_resident_memory_bytes")


class ProcessMetrics:
    """Prometheus' collector for a process, but for what QEMU does not emulate.

    QEMU's user emulation answers /proc/self/stat itself, with zeros for CPU time and memory; the clock of the process
    and /proc/self/statm are the kernel's own. They count the emulator as well, as the board's limits do.
    """

    def __init__(self, statm: Path = _STATM) -> None:
        self._statm = statm
        self._collector = ProcessCollector(registry=None)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "process_cpu_seconds", "Total user and system CPU time spent in seconds.", value=time.process_time()
        )
        if (pages := self._pages()) is not None:
            virtual, resident = (count * os.sysconf("SC_PAGE_SIZE") for count in pages)
            yield GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory size in bytes.", value=virtual)
            yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size in bytes.", value=resident)
        for metric in self._collector.collect():
            # None of these is 0 in a process: a 0 is a figure that the emulator does not have.
            if metric.name not in _OWN and any(sample.value for sample in metric.samples):
                yield metric

    def _pages(self) -> tuple[int, int] | None:
        """Return the virtual and the resident memory in pages (proc_pid_statm(5)); None if they cannot be read."""
        try:
            virtual, resident, *_ = self._statm.read_text().split()
        except (OSError, ValueError):
            return None
        return int(virtual), int(resident)
