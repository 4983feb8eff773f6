"""Limits that this host can enforce for a board, and what it cannot give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim.host import disks
from edgesim.host.limit_values import LimitValues
from edgesim.profiles import DeviceProfile
from edgesim.profiles.surroundings import Network
from edgesim.units import format_bytes

_UNLIMITED = {
    "memory": "memory: not limited: the engine cannot limit it on its host",
    "swap": "swap: not limited: the engine's kernel does not count it, so the board has its host's swap",
    "CPU": "CPU time: not limited: the engine cannot limit it on its host",
    "processes": "processes: not limited: the engine cannot limit them on its host",
    "cores": "core numbers: not fixed: the engine cannot limit them on its host, so edgesim and the board share cores",
    "storage rates": "storage rate: not limited: the engine cannot limit it on its host",
}
_NAMES = {"memory": "memory_bytes", "CPU": "cpus", "processes": "processes"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits that a board's container is started with; `edgesim.engine.docker_engine` sets them on the container.

    Attributes:
        memory_bytes: hard limit, without any swap in addition.
        cpus: CPU limit in cores; never more than the host has, since an engine cannot give more.
        intra_op_threads: threads of one inference: one for each core of `cpus`, as on the board.
        processes, open_files: of the service; threads count as processes.
        read_bytes_per_s, write_bytes_per_s: from and to `storage_device`, the disk with the model; None if not limited.
        network: to the clients; None if not limited.
        shortfalls: sentences: what the board has and this host cannot give. Each begins with a name and a colon.
        refused: the limits that the engine says beforehand it cannot set, by their names in `LimitValues`.
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
    refused: tuple[str, ...] = ()

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

    def without(self, unlimited: Sequence[str]) -> "Limits":
        """Return these limits with a shortfall for each that the engine cannot set, by the engine's names."""
        rates = (self.read_bytes_per_s, self.write_bytes_per_s)
        without_rates = "storage rates" in unlimited
        if rates == (None, None):
            unlimited = [name for name in unlimited if name != "storage rates"]
        lacking = tuple(_UNLIMITED[name] for name in unlimited if name in _UNLIMITED)
        return replace(
            self,
            # Not requested where the engine says beforehand that it discards them: no run depends on them.
            read_bytes_per_s=None if without_rates else self.read_bytes_per_s,
            write_bytes_per_s=None if without_rates else self.write_bytes_per_s,
            shortfalls=(*self.shortfalls, *lacking),
            refused=tuple(_NAMES[name] for name in unlimited if name in _NAMES),
        )

    def without_shortfall(self, name: str) -> "Limits":
        """Return these limits without the shortfall of that name, such as ``cores``."""
        return replace(self, shortfalls=tuple(each for each in self.shortfalls if not each.startswith(f"{name}:")))


def limits_of(profile: DeviceProfile, *, host_cores: int, host_memory_bytes: int, files: Sequence[Path] = ()) -> Limits:
    """Return the limits of a board on a host.

    Args:
        host_cores: cores of the host that the board may use.
        files: files that the board reads from its storage.
    """
    shortfalls = []
    cores = min(profile.cpu.cores, host_cores)
    if cores < profile.cpu.cores:
        shortfalls.append(cores_shortfall(profile.cpu.cores, cores, f"this host has {host_cores}"))
    if host_memory_bytes < profile.memory.visible_bytes:
        shortfalls.append(
            f"memory: the board has {format_bytes(profile.memory.visible_bytes)}, "
            f"this host has {format_bytes(host_memory_bytes)}"
        )
    storage = profile.storage[0] if profile.storage else None
    reads, writes = (storage.read_bytes_per_s, storage.write_bytes_per_s) if storage is not None else (None, None)
    disk = _only_disk(files)
    if (reads, writes) != (None, None) and disk is None:
        shortfalls.append("storage rate: not limited: the model is not on a disk of this host")
    return Limits(
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


def cores_shortfall(board_cores: int, threads: int, host: str) -> str:
    """Return the shortfall of a host with fewer cores than the board; `host` says how many the host has."""
    return f"cores: the board has {board_cores}, {host}: running {threads} thread{'s' if threads > 1 else ''}"


def _only_disk(files: Sequence[Path]) -> str | None:
    """Return the disk that all files are on; None if they are on several, or on none: then no rate can be limited."""
    devices = {disks.device_of(path) for path in files}
    return devices.pop() if len(devices) == 1 else None
