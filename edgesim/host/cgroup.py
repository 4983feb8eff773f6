"""Control groups: a container's resources and limits, read on the host from version 1, version 2, or both mixed."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edgesim.host.limit_values import LimitValues
from edgesim.recording import Reading

READING_INTERVAL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Cgroup:
    """The directories of a control group's controllers; None for a controller that is not mounted.

    Attributes:
        version: 1 or 2.
        network: a process's table of interfaces, which counts for all processes that share its network.
    """

    version: int
    memory: Path | None
    cpu: Path | None
    cpuacct: Path | None
    io: Path | None = None
    pids: Path | None = None
    network: Path | None = None

    @classmethod
    def of_container(cls, container_id: str, pid: int) -> "Cgroup | None":
        """Return the control group of a container by its first process; None if its engine is not on this host.

        An engine in a virtual machine beside this host reports the machine's process id: a process of the same id may
        run on this host, too.
        """
        try:
            is_this_container = any(container_id in line for line in _lines(Path(f"/proc/{pid}/cgroup")))
        except OSError:
            return None
        return cls.of_process(pid) if is_this_container else None

    @classmethod
    def of_process(cls, pid: int, proc: Path = Path("/proc")) -> "Cgroup | None":
        """Return the control group of a process of this host; None if it cannot be found.

        Each controller is looked up by itself, since a host may mount version 2 beside a version 1 that has all
        controllers.
        """
        try:
            lines, mounts = _lines(proc / str(pid) / "cgroup"), _lines(proc / "self" / "mountinfo")
        except OSError:
            return None
        network = proc / str(pid) / "net" / "dev"
        paths, unified = _groups(lines, mounts)
        if "memory" in paths:
            return cls(
                version=1,
                memory=paths["memory"],
                cpu=paths.get("cpu"),
                cpuacct=paths.get("cpuacct"),
                io=paths.get("blkio"),
                pids=paths.get("pids"),
                network=network,
            )
        if unified is not None and (unified / "memory.max").exists():
            return cls(
                version=2, memory=unified, cpu=unified, cpuacct=unified, io=unified, pids=unified, network=network
            )
        return None

    @classmethod
    def named(cls, name: str, proc: Path = Path("/proc")) -> "Cgroup | None":
        """Return the group that an engine calls `name`: a path, or a systemd slice; None if this host does not have it.

        The slice ``a-b.slice`` is in the slice ``a.slice`` (systemd.slice(5)).
        """
        try:
            mounts_v1, mount_v2 = _mounts(_lines(proc / "self" / "mountinfo"))
        except OSError:
            return None
        v1, v2 = {name: mount.point for name, mount in mounts_v1.items()}, mount_v2.point if mount_v2 else None
        path = Path(name.lstrip("/"))
        if name.endswith(".slice"):
            words = name.removesuffix(".slice").split("-")
            path = Path(*(f"{'-'.join(words[: i + 1])}.slice" for i in range(len(words))))
        if "memory" in v1 and (v1["memory"] / path).is_dir():
            groups = {controller: point / path for controller, point in v1.items()}
            return cls(
                version=1,
                memory=groups["memory"],
                cpu=groups.get("cpu"),
                cpuacct=groups.get("cpuacct"),
                io=groups.get("blkio"),
                pids=groups.get("pids"),
            )
        if v2 is not None and (group := v2 / path).is_dir() and (group / "memory.max").exists():
            return cls(version=2, memory=group, cpu=group, cpuacct=group, io=group, pids=group)
        return None

    def above(self, name: str) -> "Cgroup | None":
        """Return the group that an engine calls `name` and that this group is in, at any depth; None if there is none.

        Docker makes a container's group directly in the parent group; Podman's runtime makes another one between the
        two. `network` is None.
        """
        directory = Path(name).name

        def up(path: Path | None) -> Path | None:
            return next((each for each in path.parents if each.name == directory), None) if path is not None else None

        found = Cgroup(
            version=self.version,
            memory=up(self.memory),
            cpu=up(self.cpu),
            cpuacct=up(self.cpuacct),
            io=up(self.io),
            pids=up(self.pids),
        )
        return found if found.memory is not None else None

    def read(self) -> Reading:
        """Return one reading; a value is None if its file is missing, or if the group is gone."""
        return self._read_v1() if self.version == 1 else self._read_v2()

    def limits(self) -> LimitValues:
        """Return the limits of memory, CPU, processes and storage that the kernel enforces; None where it has none."""
        return LimitValues(
            memory_bytes=_number(self.memory, "memory.max" if self.version == 2 else "memory.limit_in_bytes"),
            cpus=_quota(self.cpu),
            processes=_number(self.pids, "pids.max"),
            read_bytes_per_s=self._rate("rbps", "read"),
            write_bytes_per_s=self._rate("wbps", "write"),
        )

    def _rate(self, key: str, verb: str) -> int | None:
        v2 = re.findall(rf"\b{key}=(\d+)", _text(self.io, "io.max"))
        v1 = re.findall(r"^\d+:\d+ (\d+)$", _text(self.io, f"blkio.throttle.{verb}_bps_device"), re.MULTILINE)
        return min(map(int, v2 + v1), default=None)

    def _read_v2(self) -> Reading:
        cpu, memory = _fields(self.cpu, "cpu.stat"), _fields(self.memory, "memory.stat")
        peak = _number(self.memory, "memory.peak")  # since Linux 5.19
        read, written = _storage_bytes_v2(self.io)
        return self._reading(
            cpu_seconds=_scaled(cpu.get("usage_usec"), 1e6),
            memory_bytes=_number(self.memory, "memory.current"),
            memory_peak_bytes=peak,
            memory_peak_source="cgroup v2 memory.peak" if peak is not None else None,
            throttled_s=_scaled(cpu.get("throttled_usec"), 1e6),
            oom_kills=_fields(self.memory, "memory.events").get("oom_kill"),
            memory_anon_bytes=memory.get("anon"),
            memory_cache_bytes=memory.get("file"),
            memory_unreclaimable_bytes=unreclaimable(memory),
            periods=cpu.get("nr_periods"),
            throttled_periods=cpu.get("nr_throttled"),
            read_bytes=read,
            written_bytes=written,
        )

    def _read_v1(self) -> Reading:
        cpu, memory = _fields(self.cpu, "cpu.stat"), _fields(self.memory, "memory.stat")
        peak = _number(self.memory, "memory.max_usage_in_bytes")
        read, written = _storage_bytes_v1(self.io)
        return self._reading(
            cpu_seconds=_scaled(_number(self.cpuacct, "cpuacct.usage"), 1e9),
            memory_bytes=_number(self.memory, "memory.usage_in_bytes"),
            memory_peak_bytes=peak,
            memory_peak_source="cgroup v1 memory.max_usage_in_bytes" if peak is not None else None,
            throttled_s=_scaled(cpu.get("throttled_time"), 1e9),
            oom_kills=_fields(self.memory, "memory.oom_control").get("oom_kill"),
            memory_anon_bytes=memory.get("total_rss"),
            memory_cache_bytes=memory.get("total_cache"),
            memory_unreclaimable_bytes=unreclaimable(memory),
            periods=cpu.get("nr_periods"),
            throttled_periods=cpu.get("nr_throttled"),
            read_bytes=read,
            written_bytes=written,
        )

    def _reading(self, **figures: Any) -> Reading:
        """Return a reading with `figures` and with what both versions report in the same way."""
        received, sent = network_bytes(self.network)
        processes = _text(self.pids, "cgroup.procs").split()
        return Reading(
            at_ns=time.monotonic_ns(),
            received_bytes=received,
            sent_bytes=sent,
            processes=len(processes) or None,
            threads=_number(self.pids, "pids.current"),  # the kernel counts threads
            **figures,
        )


def cpu_quota(pid: int | str = "self", proc: Path = Path("/proc")) -> float | None:
    """Return the CPU time that control groups leave a process, in cores; None if they do not limit it.

    The quotas of all groups above the process count, as far as this process can see them: from within a container,
    only those of the container.
    """
    quotas = [_quota(group) for group in _limiting_groups("cpu", pid, proc)]
    return min((quota for quota in quotas if quota is not None), default=None)


def throttled_s(pid: int | str = "self", proc: Path = Path("/proc")) -> float | None:
    """Return how long a process's groups were stopped by their CPU quotas so far; None if none of them has a quota."""
    groups = [group for group in _limiting_groups("cpu", pid, proc) if _quota(group) is not None]
    if not groups:
        return None
    stats = [_fields(group, "cpu.stat") for group in groups]
    return sum(stat.get("throttled_usec", 0) / 1e6 + stat.get("throttled_time", 0) / 1e9 for stat in stats)


def memory_left_bytes(pid: int | str = "self", proc: Path = Path("/proc")) -> int | None:
    """Return how much more memory the control groups of a process let it take; None if they do not limit it.

    Memory that the kernel can give back, such as page cache, is not counted as taken.
    """
    left = []
    for group in _limiting_groups("memory", pid, proc):
        limit = _number(group, "memory.max")
        limit = limit if limit is not None else _number(group, "memory.limit_in_bytes")
        taken = unreclaimable(_fields(group, "memory.stat"))
        if limit is not None and taken is not None:
            left.append(max(limit - taken, 0))
    return min(left, default=None)


def _limiting_groups(controller: str, pid: int | str, proc: Path) -> list[Path]:
    """Return the groups by which a controller can limit a process: its own and those above it, of both versions."""
    try:
        lines, mounts = _lines(proc / str(pid) / "cgroup"), _lines(proc / "self" / "mountinfo")
    except OSError:
        return []
    v1, unified = _groups(lines, mounts)
    mounts_v1, mount_v2 = _mounts(mounts)
    pairs = ((v1.get(controller), mounts_v1.get(controller)), (unified, mount_v2))
    return [
        above
        for group, mount in pairs
        if group is not None and mount is not None
        for above in (group, *group.parents)
        if above.is_relative_to(mount.point)
    ]


def _quota(group: Path | None) -> float | None:
    """Return the quota of one group, in cores, from version 2's file or version 1's two; None without a limit."""
    quota, _, period = _text(group, "cpu.max").strip().partition(" ")
    if not period:
        quota, period = (_text(group, f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    limited = quota.isdigit() and period.isdigit() and int(period) > 0  # "max" and -1 are no limit
    return int(quota) / int(period) if limited else None


def _lines(file: Path) -> list[str]:
    """Return the lines of a file of /proc; a path in it may have any bytes, whatever the locale."""
    return [line for line in file.read_text(encoding="utf-8", errors="surrogateescape").split("\n") if line]


class _Mount(NamedTuple):
    """A mounted hierarchy of control groups: `root` is the group that is seen at `point`."""

    point: Path
    root: str

    def group(self, path: str) -> Path:
        """Return the directory of the group that /proc/PID/cgroup calls `path`.

        In a container without a namespace for control groups the path is the host's, and the container's own group is
        what is mounted: `root` says so.
        """
        if self.root != "/" and (path + "/").startswith(self.root.rstrip("/") + "/"):
            path = path[len(self.root.rstrip("/")) :]
        return self.point / path.lstrip("/")


def _groups(lines: list[str], mountinfo: list[str]) -> tuple[dict[str, Path], Path | None]:
    """Return a process's group of each controller of version 1, and its group of version 2, from /proc/PID/cgroup."""
    v1, v2 = _mounts(mountinfo)
    groups: dict[str, Path] = {}
    unified: Path | None = None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers and v2 is not None:
            unified = v2.group(path)
        for controller in controllers.split(","):
            if controller in v1:
                groups[controller] = v1[controller].group(path)
    return groups, unified


# Of version 2, the kernel's own memory for the processes of a group that it cannot give back.
_KERNELS_OWN = ("kernel_stack", "pagetables", "percpu", "sock", "slab_unreclaimable")


def unreclaimable(memory: Mapping[str, int]) -> int | None:
    """Return the memory that the kernel cannot give back without swap, from memory.stat of either version.

    Files on tmpfs (shmem) are on the lists of anonymous pages. The list of unevictable pages has locked anonymous pages
    as well as locked files: what anonymous memory is on no other list is locked (Linux: Documentation/admin-guide/
    cgroup-v2.rst, cgroup-v1/memory.rst). None if the kernel does not report anonymous memory.
    """
    prefix = "" if "anon" in memory else "total_"
    anonymous = memory.get("anon", memory.get("total_rss"))
    if anonymous is None:
        return None
    anonymous += memory.get(f"{prefix}shmem", 0)
    listed = [memory.get(f"{prefix}{name}_anon") for name in ("active", "inactive")]
    locked = memory.get(f"{prefix}unevictable", 0)
    if None not in listed:
        locked -= max(anonymous - sum(size for size in listed if size is not None), 0)
    return anonymous + max(locked, 0) + sum(memory.get(name, 0) for name in _KERNELS_OWN)


# `cgroup_tree` parses the same file with code of its own: its text runs alone in a helper container.
def _mounts(mountinfo: list[str]) -> tuple[dict[str, _Mount], _Mount | None]:
    """Return version 1's mount of each controller, and version 2's, from /proc/self/mountinfo (proc(5))."""
    v1: dict[str, _Mount] = {}
    v2: _Mount | None = None
    for line in mountinfo:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        words = before.split()
        mount = _Mount(Path(_unescaped(words[4])), _unescaped(words[3]))
        if kind == "cgroup2":
            v2 = mount
        elif kind == "cgroup":
            for option in options.split(","):
                v1[option.split()[0]] = mount
    return v1, v2


def _unescaped(word: str) -> str:
    return re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), word)


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
    except OSError:  # the kernel has no such file, or the group is gone
        return ""


def _scaled(value: int | None, divisor: float) -> float | None:
    return value / divisor if value is not None else None


def _storage_bytes_v2(io: Path | None) -> tuple[int | None, int | None]:
    """Return the bytes read and written on all devices, from version 2's io.stat; 0 if it is empty."""
    if io is None or not (io / "io.stat").exists():
        return None, None
    pairs = [word.partition("=") for word in _text(io, "io.stat").split()]
    read, written = (sum(int(value) for key, _, value in pairs if key == counter) for counter in ("rbytes", "wbytes"))
    return read, written


def _storage_bytes_v1(io: Path | None) -> tuple[int | None, int | None]:
    """Return the bytes read and written on all devices, from version 1's lines of ``8:0 Read 4096``."""
    text = _text(io, "blkio.throttle.io_service_bytes")
    rows = [words for words in (line.split() for line in text.splitlines()) if len(words) == 3]
    if not text:
        return None, None
    read, written = (sum(int(count) for _, operation, count in rows if operation == o) for o in ("Read", "Write"))
    return read, written


def network_bytes(table: Path | None) -> tuple[int | None, int | None]:
    """Return the bytes received and sent over all interfaces except the loopback, from /proc/PID/net/dev."""
    try:
        lines = table.read_text().splitlines()[2:] if table is not None else []
    except OSError:
        lines = []
    interfaces = {name.strip(): counts.split() for name, _, counts in (line.partition(":") for line in lines)}
    others = [counts for name, counts in interfaces.items() if name != "lo"]
    if not others:
        return None, None
    return sum(int(counts[0]) for counts in others), sum(int(counts[8]) for counts in others)
