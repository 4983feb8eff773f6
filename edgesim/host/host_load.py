"""Host load: what other programs did on this host, from psutil and the kernel's counts of thermal throttling."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from edgesim.host import cgroup, cores

_CPUS = Path("/sys/devices/system/cpu")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class HostLoad:
    """What this host did during a load, besides the load. A figure is None if this host does not report it.

    Attributes:
        busy_percent: CPU time of all programs, in percent of the whole host.
        others_percent: CPU time of programs other than the device and edgesim, in percent of the whole host.
        steal_percent: CPU time that a hypervisor gave to other machines.
        thermal_throttles: how often the kernel saw a core slowed down by its temperature.
        frequency_percent: the clock at the end of the load, in percent of the clock at its beginning.
        throttled_s: how long edgesim's own CPU quota, as a container or a pod has one, stopped edgesim; None without a
            quota. Several threads that were stopped at a time count several times.
    """

    seconds: float
    busy_percent: float
    others_percent: float | None
    steal_percent: float | None
    thermal_throttles: int | None
    frequency_percent: float | None
    throttled_s: float | None = None


def combined(loads: Sequence[HostLoad]) -> HostLoad | None:
    """Combine several loads: percentages weighted by seconds, all throttling, the lowest clock. None for no load."""
    if not loads:
        return None
    seconds = sum(load.seconds for load in loads)

    def mean(name: str) -> Any:
        values = [(getattr(load, name), load.seconds) for load in loads]
        return sum(v * s for v, s in values) / seconds if seconds and all(v is not None for v, _ in values) else None

    throttles = [load.thermal_throttles for load in loads if load.thermal_throttles is not None]
    stops = [load.throttled_s for load in loads if load.throttled_s is not None]
    return HostLoad(
        seconds=seconds,
        busy_percent=mean("busy_percent") or 0.0,
        others_percent=mean("others_percent"),
        steal_percent=mean("steal_percent"),
        thermal_throttles=sum(throttles) if throttles else None,
        frequency_percent=min((f for load in loads if (f := load.frequency_percent) is not None), default=None),
        throttled_s=sum(stops) if stops else None,
    )


def thermal_throttles(cpus: Path = _CPUS) -> int | None:
    """Return how often the kernel has seen a core slowed down by its temperature; None if the kernel does not count."""
    counts = []
    for file in cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        try:
            counts.append(int(file.read_text()))
        except (OSError, ValueError):
            continue
    return sum(counts) if counts else None


def _frequency_hz() -> float | None:
    """Return the mean clock of the cores; None if the kernel does not set it, as in a virtual machine."""
    if not any(_CPUS.glob("cpu[0-9]*/cpufreq")):
        return None
    frequency = psutil.cpu_freq()
    return frequency.current if frequency is not None and frequency.current else None


def _own_cpu_s() -> float:
    return sum(psutil.Process().cpu_times()[:2])


@dataclass(frozen=True)
class HostCounters:
    """The host's counters at one moment; the difference of two of them is the load between the two moments."""

    at_s: float = field(default_factory=time.monotonic)
    times: Any = field(default_factory=psutil.cpu_times)
    own_s: float = field(default_factory=_own_cpu_s)
    throttles: int | None = field(default_factory=thermal_throttles)
    frequency_hz: float | None = field(default_factory=_frequency_hz)
    throttled_s: float | None = field(default_factory=cgroup.throttled_s)

    def load_since(self, begin: "HostCounters", device_s: float | None) -> HostLoad:
        """Return the load from `begin` to these counters.

        Args:
            device_s: CPU seconds of the device on this host between the two; None if they are not known.
        """
        seconds = self.at_s - begin.at_s
        capacity_s = max(seconds, 1e-9) * cores.of_machine()
        spent = {name: getattr(self.times, name) - getattr(begin.times, name) for name in self.times._fields}
        idle = spent["idle"] + spent.get("iowait", 0.0)
        # Linux counts a guest's time in the user time, too.
        total = sum(spent.values()) - spent.get("guest", 0.0) - spent.get("guest_nice", 0.0)
        busy = total - idle - spent.get("steal", 0.0)
        others = busy - device_s - (self.own_s - begin.own_s) if device_s is not None else None
        return HostLoad(
            seconds=seconds,
            busy_percent=100 * busy / capacity_s,
            others_percent=max(100 * others / capacity_s, 0.0) if others is not None else None,
            steal_percent=100 * spent["steal"] / capacity_s if "steal" in spent else None,
            thermal_throttles=_difference(begin.throttles, self.throttles),
            frequency_percent=_percent(self.frequency_hz, begin.frequency_hz),
            throttled_s=_difference(begin.throttled_s, self.throttled_s),
        )


def _difference(before: Number | None, after: Number | None) -> Number | None:
    return after - before if before is not None and after is not None else None


def _percent(part: float | None, base: float | None) -> float | None:
    return 100 * part / base if part and base else None
