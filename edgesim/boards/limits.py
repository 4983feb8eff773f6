"""What of a board this host can give, and what it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim.host import disks
from edgesim.host.limit_values import LimitValues
from edgesim.profiles import DeviceProfile
from edgesim.profiles.device_profile import Network
from edgesim.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits that a device is started with.

    Attributes:
        memory_bytes: hard limit, with no swap on top.
        cpus: CPU bandwidth in cores; never more than the host has, since an engine cannot give it.
        intra_op_threads: threads of one inference: as many as it has cores, so that each has a whole one, as on the
            board.
        processes, open_files: of the service; threads count as processes.
        read_bytes_per_s, write_bytes_per_s: from and to `storage_device`, where the model lies; None where it is not
            limited.
        network: to the clients; None where it is not limited.
        shortfalls: in sentences, what the board has and this host could not give.
    """

    memory_bytes: int
    cpus: float
    intra_op_threads: int
    processes: int
    open_files: int
    read_bytes_per_s: int | None
    write_bytes_per_s: int | None
    storage_device: str | None
    network: Network | None
    shortfalls: tuple[str, ...]

    @property
    def requested(self) -> LimitValues:
        """The limits by the names that they have in a result."""
        return LimitValues(
            memory_bytes=self.memory_bytes,
            cpus=self.cpus,
            processes=self.processes,
            open_files=self.open_files,
            read_bytes_per_s=self.read_bytes_per_s,
            write_bytes_per_s=self.write_bytes_per_s,
            network_rate_bytes_per_s=self.network.rate_bytes_per_s if self.network is not None else None,
            network_delay_ms=self.network.delay_ms if self.network is not None else None,
        )


def plan(profile: DeviceProfile, *, host_cores: int, host_memory_bytes: int, files: Sequence[Path] = ()) -> Budget:
    """The budget of `profile` on a host of `host_cores` cores and `host_memory_bytes` of memory.

    Args:
        files: what the device reads from the board's storage.
    """
    shortfalls = []
    cores = min(profile.cpu.cores, host_cores)
    if cores < profile.cpu.cores:
        threads = "1 thread has" if cores == 1 else f"{cores} threads have"
        shortfalls.append(
            f"cores: the board has {profile.cpu.cores}, this host gives {host_cores}; {threads} a whole one each"
        )
    if host_memory_bytes < profile.memory.visible_bytes:
        shortfalls.append(
            f"memory: the board has {format_bytes(profile.memory.visible_bytes)}, "
            f"this host {format_bytes(host_memory_bytes)} in all"
        )
    reads, writes = next(((found.read_bytes_per_s, found.write_bytes_per_s) for found in profile.storage), (None, None))
    devices = {disks.device_of(path) for path in files}
    disk = devices.pop() if len(devices) == 1 else None
    if (reads, writes) != (None, None) and disk is None:
        shortfalls.append("storage rate: the model lies on no disk of this host whose rate could be limited")
    return Budget(
        memory_bytes=int(profile.memory.visible_bytes),
        cpus=cores,
        intra_op_threads=cores,
        processes=profile.limits.processes,
        open_files=profile.limits.open_files,
        read_bytes_per_s=int(reads) if reads is not None and disk is not None else None,
        write_bytes_per_s=int(writes) if writes is not None and disk is not None else None,
        storage_device=disk,
        network=profile.network,
        shortfalls=tuple(shortfalls),
    )
