"""The cores that edgesim may use: the one place that counts them.

The machine's cores, an affinity (taskset, a cpuset) and a CPU quota (a container, a pod, a systemd unit) are three
numbers; programs that look at one of them start too many threads on a CI runner. How many cores a container may use is
the engine's to tell, see `edgesim.engine.engine_facts.EngineFacts`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesim.host import cgroup

_ONLINE = Path("/sys/devices/system/cpu/online")


@dataclass(frozen=True, kw_only=True)
class Cores:
    """The cores that a process may use.

    Attributes:
        machine: number of the machine's cores.
        affinity: numbers of the cores that the process may run on, sorted.
        quota: CPU time that control groups leave the process, in cores; None if they do not limit it.
    """

    machine: int
    affinity: tuple[int, ...]
    quota: float | None = None

    @property
    def count(self) -> int:
        """Number of threads that can run all the time; at least 1. Half a core of a quota carries no thread."""
        allowed = len(self.affinity)
        return max(1, min(allowed, int(self.quota)) if self.quota is not None else allowed)

    def among(self, number: int) -> str:
        """Return the words for `number` of these cores, with what bounds them: ``1 of 96 (affinity to 2)``."""
        bounds = [f"affinity to {len(self.affinity)}"] if len(self.affinity) < self.machine else []
        bounds += [f"CPU quota of {self.quota:.3g}"] if self.quota is not None else []
        return f"{number} of {self.machine}" + (f" ({', '.join(bounds)})" if bounds else "")

    def __str__(self) -> str:
        return self.among(self.count)


def usable() -> Cores:
    """Return the cores that this process may use."""
    return Cores(machine=of_machine(), affinity=affinity(), quota=cgroup.cpu_quota())


def count() -> int:
    """Return the number of threads that this process can run all the time: affinity and quota count."""
    return usable().count


def of_machine() -> int:
    """Return the number of this machine's cores, whether or not this process may use them."""
    return os.cpu_count() or 1


def of_engine(count: int) -> tuple[int, ...]:
    """Return the numbers of the cores that the containers of this host's engine may use, as far as this host can tell.

    Args:
        count: how many the engine has: fewer than this host has online if the engine itself is bound to some.
    """
    cores = online()
    # An engine with an affinity of its own does not say which cores it has. It has most likely the same as edgesim.
    return cores if len(cores) == count else affinity()


def apart(client: Sequence[int], *, containers: bool) -> tuple[int, ...]:
    """Return the cores of this host that a board may use while the load generator uses the cores `client`.

    Args:
        containers: whether the board is a container, which edgesim's own affinity does not bind. It gets cores outside
            of that affinity only if there are no others: the engine may be bound to the same.
    """
    left = tuple(core for core in affinity() if core not in client)
    return left or tuple(core for core in (online() if containers else ()) if core not in client)


def affinity(pid: int = 0) -> tuple[int, ...]:
    """Return the numbers of the cores that a process may run on, sorted; 0 means this process."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(pid)))
    return tuple(range(of_machine()))


def online(file: Path = _ONLINE) -> tuple[int, ...]:
    """Return the numbers of the machine's cores that are online, from lines such as ``0-3,8``."""
    try:
        ranges = [word.partition("-") for word in file.read_text().strip().split(",") if word]
    except OSError:
        return affinity()
    return tuple(core for first, _, last in ranges for core in range(int(first), int(last or first) + 1))
