"""The device's resources while it is measured: read again and again, and summed up."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from edgesim.result import Reading, ResourcesSection

INTERVAL_S = 0.1


@contextmanager
def record(read: Callable[[], Reading], *, into: list[Reading], interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Within the block, append a reading to `into` ten times a second, one at its start and one at its end."""
    stop = threading.Event()

    def keep_reading() -> None:
        while not stop.wait(interval_s):
            into.append(read())

    into.append(read())
    thread = threading.Thread(target=keep_reading, name="edgesim-resources", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        into.append(read())


def summarise(readings: Sequence[Reading], memory_limit_bytes: int | None) -> ResourcesSection:
    """Use from the first reading to the last that tells it; None for what no reading tells."""
    cpu = [(reading.at_ns, reading.cpu_seconds) for reading in readings if reading.cpu_seconds is not None]
    cpu_seconds = cpu[-1][1] - cpu[0][1] if len(cpu) >= 2 else None
    wall_s = (cpu[-1][0] - cpu[0][0]) / 1e9 if len(cpu) >= 2 else 0.0
    throttled = [reading.throttled_s for reading in readings if reading.throttled_s is not None]
    peaks = [reading for reading in readings if reading.memory_peak_bytes is not None]
    kills = [reading.oom_kills for reading in readings if reading.oom_kills is not None]
    return ResourcesSection(
        cpu_seconds=cpu_seconds,
        cpu_percent_mean=100 * cpu_seconds / wall_s if cpu_seconds is not None and wall_s > 0 else None,
        memory_peak_bytes=peaks[-1].memory_peak_bytes if peaks else None,
        memory_peak_source=peaks[-1].memory_peak_source if peaks else None,
        memory_limit_bytes=memory_limit_bytes,
        throttled_s=throttled[-1] - throttled[0] if throttled else None,
        oom_kills=kills[-1] if kills else None,
    )
