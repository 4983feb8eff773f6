"""A container's resources, read from its control group on the host: version 1, version 2, or both mixed."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from edgesim.result import Reading


@dataclass(frozen=True, kw_only=True)
class Cgroup:
    """Where one process's controllers are; None for a controller that is not mounted. `version` is 1 or 2."""

    version: int
    memory: Path | None
    cpu: Path | None
    cpuacct: Path | None

    @classmethod
    def of_process(cls, pid: int, proc: Path = Path("/proc")) -> "Cgroup | None":
        """The control group of a process of this host; None where it cannot be told.

        Each controller is looked up by itself, since a host may mount version 2 beside a version 1 that has them all.
        """
        try:
            lines = (proc / str(pid) / "cgroup").read_text().splitlines()
            mounts = (proc / "self" / "mountinfo").read_text().splitlines()
        except OSError:
            return None
        v1, v2 = _mount_points(mounts)
        paths: dict[str, Path] = {}
        unified: Path | None = None
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if not controllers and v2 is not None:
                unified = v2 / path.lstrip("/")
            for controller in controllers.split(","):
                if controller in v1:
                    paths[controller] = v1[controller] / path.lstrip("/")
        if "memory" in paths:
            return cls(version=1, memory=paths["memory"], cpu=paths.get("cpu"), cpuacct=paths.get("cpuacct"))
        if unified is not None and (unified / "memory.max").exists():
            return cls(version=2, memory=unified, cpu=unified, cpuacct=unified)
        return None

    def read(self) -> Reading:
        """One reading; a value is None where its file is missing or the group is gone."""
        return self._read_v1() if self.version == 1 else self._read_v2()

    def limits(self) -> dict[str, int | float | None]:
        """The limits that the kernel holds: `memory_limit_bytes`, and `cpu_limit` in cores; None without one."""
        if self.version == 2:
            quota, _, period = _text(self.cpu, "cpu.max").partition(" ")
            memory = _number(self.memory, "memory.max")
        else:
            quota, period = _text(self.cpu, "cpu.cfs_quota_us"), _text(self.cpu, "cpu.cfs_period_us")
            memory = _number(self.memory, "memory.limit_in_bytes")
        limited = quota.strip().isdigit() and period.strip().isdigit()  # "max" and -1 are no limit
        return {"memory_limit_bytes": memory, "cpu_limit": int(quota) / int(period) if limited else None}

    def _read_v2(self) -> Reading:
        cpu = _fields(self.cpu, "cpu.stat")
        usage, throttled = cpu.get("usage_usec"), cpu.get("throttled_usec")
        peak = _number(self.memory, "memory.peak")  # since Linux 5.19
        return Reading(
            at_ns=time.monotonic_ns(),
            cpu_seconds=usage / 1e6 if usage is not None else None,
            memory_bytes=_number(self.memory, "memory.current"),
            memory_peak_bytes=peak,
            memory_peak_source="cgroup v2 memory.peak" if peak is not None else None,
            throttled_s=throttled / 1e6 if throttled is not None else None,
            oom_kills=_fields(self.memory, "memory.events").get("oom_kill"),
        )

    def _read_v1(self) -> Reading:
        usage = _number(self.cpuacct, "cpuacct.usage")
        throttled = _fields(self.cpu, "cpu.stat").get("throttled_time")
        peak = _number(self.memory, "memory.max_usage_in_bytes")
        return Reading(
            at_ns=time.monotonic_ns(),
            cpu_seconds=usage / 1e9 if usage is not None else None,
            memory_bytes=_number(self.memory, "memory.usage_in_bytes"),
            memory_peak_bytes=peak,
            memory_peak_source="cgroup v1 memory.max_usage_in_bytes" if peak is not None else None,
            throttled_s=throttled / 1e9 if throttled is not None else None,
            oom_kills=_fields(self.memory, "memory.oom_control").get("oom_kill"),
        )


def _mount_points(mountinfo: list[str]) -> tuple[dict[str, Path], Path | None]:
    """Version 1's mount point of each controller, and version 2's, from /proc/self/mountinfo (proc(5))."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in mountinfo:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4]))
        if kind == "cgroup2":
            v2 = point
        elif kind == "cgroup":
            for option in options.split(","):
                v1[option.split()[0]] = point
    return v1, v2


def _number(directory: Path | None, name: str) -> int | None:
    text = _text(directory, name).strip()
    return int(text) if text.isdigit() else None


def _fields(directory: Path | None, name: str) -> dict[str, int]:
    pairs = (line.split() for line in _text(directory, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _text(directory: Path | None, name: str) -> str:
    if directory is None:
        return ""
    try:
        return (directory / name).read_text()
    except OSError:  # no such file on this kernel, or the group has gone
        return ""
