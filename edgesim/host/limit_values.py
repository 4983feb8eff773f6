"""The limits of a board by name: what edgesim sets, and what the kernel enforces. The names are those of a result."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from edgesim.units import format_bytes

# The kernel keeps memory in pages, and CPU time in whole microseconds of a period.
_ROUNDING = 0.01
_TITLES = {"memory_bytes": "memory", "cpus": "CPU time"}
# The limits that a container engine sets in control groups, and that rest on the kernel's controllers.
OF_CONTROL_GROUPS = ("memory_bytes", "cpus", "processes")


@dataclass(frozen=True, kw_only=True)
class LimitValues:
    """A value for each limit; None means that the limit is not set, or not known.

    Attributes:
        memory_bytes: memory of all processes, page cache included.
        cpus: CPU time per second, in cores.
        processes: processes and threads together.
        open_files: open files of one process.
        read_bytes_per_s, write_bytes_per_s: rates of the storage device; of several devices the slowest.
        network_rate_bytes_per_s: rate at which the board sends to its clients.
        network_delay_ms: delay of what the board sends.
    """

    memory_bytes: int | None = None
    cpus: float | None = None
    processes: int | None = None
    open_files: int | None = None
    read_bytes_per_s: int | None = None
    write_bytes_per_s: int | None = None
    network_rate_bytes_per_s: float | None = None
    network_delay_ms: float | None = None

    def by_name(self) -> dict[str, float | None]:
        """Return the values by the names of their limits."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class LimitReading:
    """A limit that was set, and what was read back.

    Attributes:
        applied: None if the kernel has no such limit, or if it was not `read`.
        read: whether anybody could ask the kernel.
    """

    name: str
    requested: float
    applied: float | None
    read: bool = True

    @property
    def is_lost(self) -> bool:
        """Whether the kernel was asked, and holds no limit or a larger one."""
        return self.read and (self.applied is None or self.applied > self.requested * (1 + _ROUNDING))

    @property
    def title(self) -> str:
        """The limit's name in sentences."""
        return _TITLES.get(self.name, self.name)

    @property
    def finding(self) -> str:
        """What was set, and what the kernel has."""
        applied = "not read back" if not self.read else "no limit" if self.applied is None else self._text(self.applied)
        return f"{self._text(self.requested)} set, {applied}{' in the kernel' if self.read else ''}"

    def _text(self, value: float) -> str:
        return format_bytes(value) if self.name == "memory_bytes" else f"{value:g}"


def readings(requested: LimitValues, applied: LimitValues) -> Iterator[LimitReading]:
    """Yield the limits of memory, CPU and processes that were set, with what the kernel holds."""
    enforced = applied.by_name()
    for name in OF_CONTROL_GROUPS:
        value = requested.by_name()[name]
        if value is not None:
            yield LimitReading(name=name, requested=value, applied=enforced[name])


def lost(requested: LimitValues, applied: LimitValues) -> Iterator[LimitReading]:
    """Yield the limits of memory, CPU and processes that were set and that the kernel does not hold."""
    return (reading for reading in readings(requested, applied) if reading.is_lost)
