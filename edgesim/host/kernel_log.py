"""What the kernel's log says of processes that the kernel killed at a memory limit.

The engine may lose its own event of such a kill: containerd publishes no event if the control group is already deleted
when containerd handles the kernel's notification (`process` in containerd's package oom/v1). On most hosts, only root
may read the log (sysctl ``kernel.dmesg_restrict``).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_LOG = Path("/dev/kmsg")
_LONGEST_RECORD_BYTES = 8192  # a read with less room fails (Documentation/ABI/testing/dev-kmsg of the kernel)
# mm/oom_kill.c and mm/memcontrol.c print one such line for each kill, with the killed process's control group.
_KILL = re.compile(r"oom-kill:constraint=CONSTRAINT_MEMCG,.*\btask_memcg=([^,\s]*)")


def memory_kills(container: str, *, log: Path = _LOG) -> int:
    """Return how often the kernel killed a process of a container at a memory limit, as far as the log can be read.

    Args:
        container: the container's whole id, which the engine puts into the name of its control group.
    """
    return sum(container in group for record in _records(log) for group in _KILL.findall(record))


def _records(log: Path) -> Iterator[str]:
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        while True:
            try:
                record = os.read(descriptor, _LONGEST_RECORD_BYTES)
            except BrokenPipeError:
                continue  # the record was overwritten meanwhile; the next read gives the one after it
            except OSError:
                return  # the end of the log
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        os.close(descriptor)
