"""The machine as a process inside sees it: the proof of which limits really apply to a container.

`edgesim.host` uses `cpu_model`, too, for the machine that edgesim runs on.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

# Cores by implementer and part of MIDR_EL1, as in Linux' arch/arm64/include/asm/cputype.h. The names are spelled as
# everywhere in edgesim; the table is the server's own, because the server stands alone.
_ARM = 0x41
_CORES = {
    (_ARM, 0xD03): "cortex-a53",
    (_ARM, 0xD04): "cortex-a35",
    (_ARM, 0xD05): "cortex-a55",
    (_ARM, 0xD07): "cortex-a57",
    (_ARM, 0xD08): "cortex-a72",
    (_ARM, 0xD09): "cortex-a73",
    (_ARM, 0xD0A): "cortex-a75",
    (_ARM, 0xD0B): "cortex-a76",
    (_ARM, 0xD0C): "neoverse-n1",
    (_ARM, 0xD0D): "cortex-a77",
    (_ARM, 0xD40): "neoverse-v1",
    (_ARM, 0xD83): "neoverse-v3ae",
    (_ARM, 0xD41): "cortex-a78",
    (_ARM, 0xD42): "cortex-a78ae",
    (_ARM, 0xD44): "cortex-x1",
    (_ARM, 0xD47): "cortex-a710",
    (_ARM, 0xD49): "neoverse-n2",
    (0x46, 0x001): "a64fx",  # Fujitsu
    (0x4E, 0x003): "denver2",  # NVIDIA
    (0x4E, 0x004): "carmel",
}
CGROUP = Path("/sys/fs/cgroup")
_UNLIMITED_BYTES = 1 << 60  # cgroup v1 writes "no limit" as a number near 2^63


def describe() -> dict[str, Any]:
    """Return architecture, processor, limits and privileges of this process; None for what it cannot read."""
    cpuinfo = _read(Path("/proc/cpuinfo"))
    status = _read(Path("/proc/self/status"))
    return {
        "architecture": platform.machine(),
        "cpu_model": cpu_model(cpuinfo),
        "cpu_features": cpu_features(cpuinfo),
        "cores": len(os.sched_getaffinity(0)),
        "memory_limit_bytes": memory_limit_bytes(CGROUP),
        "swap_limit_bytes": swap_limit_bytes(CGROUP),
        "cpu_limit": cpu_limit(CGROUP),
        "user_id": os.getuid(),
        "capabilities": _status_field(status, "CapEff"),
        "no_new_privileges": _status_field(status, "NoNewPrivs") == "1",
        "read_only_root": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
    }


def cpu_model(cpuinfo: str) -> str | None:
    """Return the core that the text of /proc/cpuinfo describes: ``cortex-a57``, or the marketing name on x86.

    An Arm core that is not in the table is ``arm part 0x…``; None if the text names no processor.
    """
    part = re.search(r"^CPU part\s*:\s*(0x[0-9a-f]+)", cpuinfo, re.MULTILINE)
    implementer = re.search(r"^CPU implementer\s*:\s*(0x[0-9a-f]+)", cpuinfo, re.MULTILINE)
    if part and implementer:
        midr = int(implementer[1], 16), int(part[1], 16)
        if midr in _CORES or midr[0] == _ARM:
            return _CORES.get(midr, f"arm part {part[1]}")
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return name[1].strip() if name else None


def cpu_features(cpuinfo: str) -> list[str]:
    """Return the instruction-set features as the text of /proc/cpuinfo names them."""
    line = re.search(r"^(?:Features|flags)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return line[1].split() if line else []


def memory_limit_bytes(cgroup: Path) -> int | None:
    """Return the memory limit in bytes; None without one."""
    return _limit(cgroup / "memory.max") or _limit(cgroup / "memory" / "memory.limit_in_bytes")


def swap_limit_bytes(cgroup: Path) -> int | None:
    """Return how much may be swapped out on top of the memory limit, in bytes; 0 is no swap, None no limit."""
    v2 = _read(cgroup / "memory.swap.max").strip()
    if v2:
        return None if v2 == "max" else int(v2)
    both, memory = _limit(cgroup / "memory" / "memory.memsw.limit_in_bytes"), memory_limit_bytes(cgroup)
    return both - memory if both is not None and memory is not None else None


def cpu_limit(cgroup: Path) -> float | None:
    """Return the CPU quota in cores; None without one."""
    v2 = _read(cgroup / "cpu.max").split()
    if len(v2) == 2:
        return None if v2[0] == "max" else int(v2[0]) / int(v2[1])
    quota = _read(cgroup / "cpu" / "cpu.cfs_quota_us").strip()
    period = _read(cgroup / "cpu" / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota and period and int(quota) > 0 else None


def _limit(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() and int(text) < _UNLIMITED_BYTES else None


def _status_field(status: str, name: str) -> str | None:
    field = re.search(rf"^{name}:\s*(\S+)", status, re.MULTILINE)
    return field[1] if field else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
