"""A program that reads and measures the machine that it runs on: ``machine_probe.py ROOT SCRATCH``.

It runs as a process of this host, or in a container of another machine's engine, to which its text is handed. It
therefore imports nothing but the standard library. It prints one JSON object, `survey`'s.

Bandwidth is that of three functions of the C library on one core: memcpy, memset, and memchr for a byte that is not
there. tinymembench, whose figures the profiles of edgesim have, calls the first two for its "standard memcpy" and
"standard memset" (``libc memcpy copy`` in newer versions), and the third for its "libc memchr scan". Its figure for
loads alone is up to a tenth higher than that of memchr on small cores.
"""

import ctypes
import json
import mmap
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_TEXTS = (
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/etc/os-release",
    "/usr/lib/os-release",
    "/sys/firmware/devicetree/base/model",
    "/sys/firmware/devicetree/base/compatible",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_max_freq",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq",
    "/sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]/level",
    "/sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]/type",
    "/sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]/size",
    "/sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]/shared_cpu_list",
)
_C_LIBRARIES = (
    "/lib/*-linux-gnu/libc.so.6",
    "/usr/lib/*-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
)

# Each buffer is four times the largest cache, and not less than this: tinymembench's default is 64 MiB for two.
_LEAST_BUFFER_BYTES, _MOST_BUFFER_BYTES = 32 << 20, 512 << 20
_MEASURING_S = 1.0  # for each function and core
_CLOCK_UP_S = 0.3  # until a governor has raised the clock
_FILE_BYTES, _PIECE_BYTES = 128 << 20, 1 << 20


def survey(root: str, scratch: str) -> dict[str, object]:
    """Return what the machine is, and how fast its memory and a disk are.

    Args:
        root: where the machine's root directory is: ``/``, or where a container has it.
        scratch: a directory on the disk to measure; nothing is left in it.

    Returns:
        ``files``: texts of /proc, /sys and /etc by their path on the machine; ``architecture`` and ``kernel`` as uname
        has them; ``glibc`` and ``python`` or None; ``load``: mean number of programs that ran in the last minute,
        before this one; ``bandwidth``: a list with `bandwidth` of one core of each design; ``storage``: `storage`.
    """
    load = os.getloadavg()[0]
    files = texts(root)
    return {
        "files": files,
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "glibc": glibc(root),
        "python": python(root),
        "load": load,
        "bandwidth": [bandwidth(number, files) for number in one_of_each_design(files.get("/proc/cpuinfo", ""))],
        "storage": storage(scratch),
    }


def texts(root: str) -> dict[str, str]:
    """Return the machine's files by their path on the machine; what cannot be read is left out."""
    found = {}
    for path in _existing(root, *_TEXTS):
        try:
            found[f"/{path.relative_to(root)}"] = path.read_text(errors="replace")
        except OSError:
            continue
    return found


def _existing(root: str, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(Path(root).glob(pattern.lstrip("/")))


def glibc(root: str) -> str | None:
    """Return the version of the machine's C library, which a container's own would hide."""
    for path in _existing(root, *_C_LIBRARIES):
        try:
            match = re.search(rb"GNU C Library [^\n]*release version (\d+\.\d+)", path.read_bytes())
        except OSError:
            continue
        if match:
            return match[1].decode()
    return None


def python(root: str) -> str | None:
    """Return the version of the machine's own Python, ``3.11``, which /usr/bin/python3 is a link to."""
    try:
        match = re.fullmatch(r"python(3\.\d+)", (Path(root) / "usr" / "bin" / "python3").readlink().name)
    except OSError:
        return None
    return match[1] if match else None


def one_of_each_design(cpuinfo: str) -> list[int]:
    """Return the number of a core of each design that this process may use; the last one, which interrupts spare."""
    chosen = {}
    allowed = os.sched_getaffinity(0)
    for part in re.split(r"(?m)^(?=processor\s*:)", cpuinfo):
        number = re.match(r"processor\s*:\s*(\d+)", part)
        if number and int(number[1]) in allowed:
            design = tuple(re.findall(r"(?m)^(?:CPU implementer|CPU part|model name)\s*:\s*(.+?)\s*$", part))
            chosen[design] = int(number[1])
    return list(chosen.values()) or [max(allowed)]


def bandwidth(number: int, files: dict[str, str]) -> dict[str, int]:
    """Return the bytes per second that a core copies, fills and reads, the best of many calls.

    Args:
        number: of the core, as the kernel counts.
        files: those of `texts`, for the sizes of the caches and of the memory.
    """
    size = _buffer_bytes(files)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        source, target = mmap.mmap(-1, size), mmap.mmap(-1, size)
        there, here = (ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in (target, source))
        library = ctypes.CDLL(None)
        for name in ("memcpy", "memset", "memchr"):
            getattr(library, name).restype = ctypes.c_void_p
        sized = ctypes.c_size_t(size)
        calls = {
            "copy_bytes_per_s": lambda: library.memcpy(ctypes.c_void_p(there), ctypes.c_void_p(here), sized),
            "fill_bytes_per_s": lambda: library.memset(ctypes.c_void_p(there), 1, sized),
            "read_bytes_per_s": lambda: library.memchr(ctypes.c_void_p(here), 2, sized),
        }
        library.memset(ctypes.c_void_p(here), 1, sized)  # pages that were never written are all one page of zeros
        deadline = time.perf_counter() + _CLOCK_UP_S
        while time.perf_counter() < deadline:
            calls["copy_bytes_per_s"]()
        return {"core": number, "buffer_bytes": size} | {
            name: round(size / _least_seconds(call)) for name, call in calls.items()
        }
    finally:
        os.sched_setaffinity(0, allowed)


def _buffer_bytes(files: dict[str, str]) -> int:
    caches = [cache_bytes(text) for path, text in files.items() if path.endswith("/size")]
    available = re.search(r"(?m)^MemAvailable:\s*(\d+) kB", files.get("/proc/meminfo", ""))
    most = int(available[1]) * 1024 // 4 if available else _MOST_BUFFER_BYTES
    size = min(max(_LEAST_BUFFER_BYTES, 4 * max(caches, default=0)), _MOST_BUFFER_BYTES, most)
    return max(size >> 20, 1) << 20


def cache_bytes(text: str) -> int:
    """Return a cache's size, which the kernel writes as ``48K`` or ``2M``; 0 for anything else."""
    match = re.fullmatch(r"(\d+)([KM])", text.strip())
    return int(match[1]) << {"K": 10, "M": 20}[match[2]] if match else 0


def _least_seconds(call: Callable[[], object]) -> float:
    least, deadline = float("inf"), time.perf_counter() + _MEASURING_S
    while time.perf_counter() < deadline:
        begun = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - begun)
    return least


def storage(scratch: str) -> dict[str, object]:
    """Return the disk of a directory: ``kind``, ``read_bytes_per_s``, and ``problem``, in words; None where not known.

    The rate is that of one file of 128 MiB, read once in pieces of 1 MiB past the page cache.
    """
    kind, problem, rate = None, None, None
    try:
        kind = disk_kind(Path(scratch).stat().st_dev)
        rate = _read_rate(scratch)
    except OSError as error:
        problem = f"{error.strerror or error}"
    return {"kind": kind, "read_bytes_per_s": rate, "problem": problem}


def _read_rate(scratch: str) -> int:
    with tempfile.TemporaryFile(dir=scratch) as file:  # without a name: nothing stays behind, even if this is killed
        piece = mmap.mmap(-1, _PIECE_BYTES)  # begins at a page, as reads past the page cache need
        piece.write(os.urandom(_PIECE_BYTES))  # a disk may compress
        for _ in range(_FILE_BYTES // _PIECE_BYTES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        descriptor = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_DIRECT)
        try:
            begun, size = time.perf_counter(), 0
            while count := os.readv(descriptor, [piece]):
                size += count
            return round(size / (time.perf_counter() - begun))
        finally:
            os.close(descriptor)


def disk_kind(device: int, sys_directory: str = "/sys") -> str | None:
    """Return the kind of a disk in words, such as ``64 GB eMMC``; None for files in memory or on a network."""
    path = Path(f"{sys_directory}/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if not path.is_dir():
        return None
    if (path / "partition").exists():
        path = path.parent
    model = _text(path / "device" / "model") or _text(path / "device" / "name")
    if path.name.startswith("mmcblk"):
        kind = "eMMC" if _text(path / "device" / "type") == "MMC" else "SD card"
    elif path.name.startswith("nvme"):
        kind = "NVMe SSD"
    elif re.match(r"x?vd", path.name):
        kind = "virtual disk"
    else:
        kind = "hard disk" if _text(path / "queue" / "rotational") == "1" else "SSD"
        kind = f"USB {kind}" if "/usb" in str(path) else kind
    sectors = _text(path / "size")
    size = f"{int(sectors) * 512 / 1e9:.0f} GB " if sectors.isdigit() else ""
    return f"{size}{kind}" + (f" ({model})" if model else "")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(survey(sys.argv[1], sys.argv[2])))
