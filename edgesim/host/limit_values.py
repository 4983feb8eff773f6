"""The limits of a board by name: what edgesim sets, and what the kernel enforces. The names are those of a result."""

from dataclasses import asdict, dataclass


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
