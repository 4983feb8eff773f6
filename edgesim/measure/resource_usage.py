"""Resource usage of a device: read again and again while it is measured, and summed up."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgesim.recording import Phase, Reading


class Recorder:
    """Reads a device every `interval_s`, and at the beginning and end of each phase.

    Attributes:
        readings: in the order of their times.
        phases: in the order in which they ended.
    """

    def __init__(self, read: Callable[[], Reading], *, interval_s: float) -> None:
        self.readings: list[Reading] = []
        self.phases: list[Phase] = []
        self._read = read
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._keep_reading, name="edgesim-resources", daemon=True)

    def __enter__(self) -> "Recorder":
        self.take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.take()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Record the block as a phase, even if the block raises."""
        self.take()
        begin_ns = time.monotonic_ns()
        try:
            yield
        finally:
            self.phases.append(Phase(name, begin_ns, time.monotonic_ns()))
            self.take()

    def take(self) -> None:
        """Take one more reading now."""
        with self._one_at_a_time:
            self.readings.append(self._read())

    def _keep_reading(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.take()


@dataclass(frozen=True, kw_only=True)
class ResourceUsage:
    """The resources that a device used. A figure is None if no reading has it.

    CPU, throttling, periods, bytes read, written, received and sent count in the load alone; memory, kills, processes
    and threads are the largest values since the device started.

    Attributes:
        source: where the readings come from.
        cpu_percent_mean: percent of one core of this host.
        cpu_percent_of_board: percent of all that the device may use.
        memory_peak_source: the file or the method that gave the peak.
    """

    source: str | None = None
    cpu_seconds: float | None = None
    cpu_percent_mean: float | None = None
    cpu_percent_of_board: float | None = None
    memory_peak_bytes: int | None = None
    memory_peak_source: str | None = None
    memory_limit_bytes: int | None = None
    memory_anon_bytes: int | None = None
    memory_cache_bytes: int | None = None
    memory_unreclaimable_bytes: int | None = None
    throttled_s: float | None = None
    throttled_periods: int | None = None
    periods: int | None = None
    oom_kills: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    processes: int | None = None
    threads: int | None = None


def summarise(
    readings: Sequence[Reading],
    load: Sequence[Phase],
    memory_limit_bytes: int | None = None,
    board_cores: float | None = None,
    source: str | None = None,
) -> ResourceUsage:
    """Sum up the readings: the difference of counters over the `load` phases, the largest value of anything else.

    Args:
        memory_limit_bytes: the device's memory limit, which the usage repeats.
        board_cores: number of this host's cores that the device may use.
        source: where the readings come from.
    """
    used = _used(readings, load)
    cpu_seconds = used("cpu_seconds")
    wall_s = sum(phase.end_ns - phase.begin_ns for phase in load) / 1e9
    percent = 100 * cpu_seconds / wall_s if cpu_seconds is not None and wall_s > 0 else None
    peaks = [(r.memory_peak_bytes, r.memory_peak_source) for r in readings if r.memory_peak_bytes is not None]
    in_use = _known(readings, "memory_bytes")
    peak, peak_source = max(peaks, key=lambda peak: peak[0]) if peaks else (None, None)
    if peak is None and in_use:
        peak, peak_source = max(in_use), f"largest of {len(in_use)} readings"
    return ResourceUsage(
        source=source,
        cpu_seconds=cpu_seconds,
        cpu_percent_mean=percent,
        cpu_percent_of_board=percent / board_cores if percent is not None and board_cores else None,
        memory_peak_bytes=peak,
        memory_peak_source=peak_source,
        memory_limit_bytes=memory_limit_bytes,
        memory_anon_bytes=_largest(readings, "memory_anon_bytes"),
        memory_cache_bytes=_largest(readings, "memory_cache_bytes"),
        memory_unreclaimable_bytes=_largest(readings, "memory_unreclaimable_bytes"),
        throttled_s=used("throttled_s"),
        throttled_periods=used("throttled_periods"),
        periods=used("periods"),
        oom_kills=_largest(readings, "oom_kills"),
        read_bytes=used("read_bytes"),
        written_bytes=used("written_bytes"),
        received_bytes=used("received_bytes"),
        sent_bytes=used("sent_bytes"),
        processes=_largest(readings, "processes"),
        threads=_largest(readings, "threads"),
    )


def _used(readings: Sequence[Reading], load: Sequence[Phase]) -> Callable[[str], Any]:
    """Return a function that takes a counter's name and returns how far the counter rose in all phases together."""

    def used(name: str) -> Any:
        total = None
        for phase in load:
            # The recorder reads just before a phase begins and just after it ends.
            before = [r for r in readings if r.at_ns <= phase.begin_ns][-1:]
            after = [r for r in readings if r.at_ns >= phase.end_ns][:1]
            within = [r for r in readings if phase.begin_ns < r.at_ns < phase.end_ns]
            values = _known([*before, *within, *after], name)
            if len(values) >= 2:
                total = (total or 0) + values[-1] - values[0]
        return total

    return used


def _known(readings: Sequence[Reading], name: str) -> list[Any]:
    values = (getattr(reading, name) for reading in readings)
    return [value for value in values if value is not None]


def _largest(readings: Sequence[Reading], name: str) -> Any:
    return max(_known(readings, name), default=None)
