"""What of a board this host can give, and what it cannot."""

from dataclasses import dataclass

from edgesim.profile import DeviceProfile
from edgesim.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits that a device is started with.

    Attributes:
        memory_bytes: hard limit, with no swap on top.
        cpus: CPU bandwidth in cores; never more than the host has, since an engine cannot give it.
        intra_op_threads: threads of one inference: the board's cores, whatever the host has.
        shortfalls: in sentences, what the board has and this host could not give.
    """

    memory_bytes: int
    cpus: int
    intra_op_threads: int
    shortfalls: tuple[str, ...]


def plan(profile: DeviceProfile, *, host_cores: int, host_memory_bytes: int) -> Budget:
    """The budget of `profile` on a host of `host_cores` cores and `host_memory_bytes` of memory."""
    shortfalls = []
    if host_cores < profile.cpu.cores:
        shortfalls.append(f"cores: the board has {profile.cpu.cores}, this host gives {host_cores}")
    if host_memory_bytes < profile.memory.visible_bytes:
        shortfalls.append(
            f"memory: the board has {format_bytes(profile.memory.visible_bytes)}, "
            f"this host {format_bytes(host_memory_bytes)} in all"
        )
    return Budget(
        memory_bytes=int(profile.memory.visible_bytes),
        cpus=min(profile.cpu.cores, host_cores),
        intra_op_threads=profile.cpu.cores,
        shortfalls=tuple(shortfalls),
    )
