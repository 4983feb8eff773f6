"""What else this host did while it measured: psutil's view, and the kernel's count of thermal throttling."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from edgesim.results.run_result import HostLoadSection

_CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class HostLoad:
    """The host's counters at one moment; the difference of two is what happened between them."""

    at_s: float = field(default_factory=time.monotonic)
    times: Any = field(default_factory=psutil.cpu_times)
    own_s: float = field(default_factory=lambda: sum(psutil.Process().cpu_times()[:2]))
    throttles: int | None = field(default_factory=lambda: thermal_throttles())
    frequency_hz: float | None = field(default_factory=lambda: _frequency())

    def since(self, begin: "HostLoad", device_s: float | None) -> HostLoadSection:
        """From `begin` to this moment; `device_s` is the device's CPU time between them, None where it is not known."""
        seconds = self.at_s - begin.at_s
        capacity = max(seconds, 1e-9) * (psutil.cpu_count() or 1)
        spent = {name: getattr(self.times, name) - getattr(begin.times, name) for name in self.times._fields}
        # Linux counts a guest's time in user's, too.
        idle = spent["idle"] + spent.get("iowait", 0.0)
        total = sum(spent.values()) - spent.get("guest", 0.0) - spent.get("guest_nice", 0.0)
        busy = total - idle - spent.get("steal", 0.0)
        others = busy - device_s - (self.own_s - begin.own_s) if device_s is not None else None
        return HostLoadSection(
            seconds=seconds,
            busy_percent=100 * busy / capacity,
            others_percent=max(100 * others / capacity, 0.0) if others is not None else None,
            steal_percent=100 * spent["steal"] / capacity if "steal" in spent else None,
            thermal_throttles=_difference(begin.throttles, self.throttles),
            frequency_percent=_percent(self.frequency_hz, begin.frequency_hz),
        )


def _difference(before: int | None, after: int | None) -> int | None:
    return after - before if before is not None and after is not None else None


def _percent(part: float | None, whole: float | None) -> float | None:
    return 100 * part / whole if part and whole else None


def combined(loads: Sequence[HostLoadSection]) -> HostLoadSection | None:
    """Several as one: shares by their seconds, throttling in all, the lowest clock; None of none."""
    if not loads:
        return None
    seconds = sum(load.seconds for load in loads)

    def mean(name: str) -> Any:
        values = [(getattr(load, name), load.seconds) for load in loads]
        return sum(v * s for v, s in values) / seconds if seconds and all(v is not None for v, _ in values) else None

    throttles = [load.thermal_throttles for load in loads if load.thermal_throttles is not None]
    return HostLoadSection(
        seconds=seconds,
        busy_percent=mean("busy_percent") or 0.0,
        others_percent=mean("others_percent"),
        steal_percent=mean("steal_percent"),
        thermal_throttles=sum(throttles) if throttles else None,
        frequency_percent=min((f for load in loads if (f := load.frequency_percent) is not None), default=None),
    )


def thermal_throttles(cpus: Path = _CPUS) -> int | None:
    """How often the kernel has seen a core slowed down by its temperature, in all; None where it does not count."""
    counts = []
    for file in cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        try:
            counts.append(int(file.read_text()))
        except (OSError, ValueError):
            continue
    return sum(counts) if counts else None


def _frequency() -> float | None:
    """The mean clock of the cores, where the kernel sets it; in a virtual machine nobody knows it."""
    if not any(_CPUS.glob("cpu[0-9]*/cpufreq")):
        return None
    frequency = psutil.cpu_freq()
    return frequency.current if frequency is not None and frequency.current else None
