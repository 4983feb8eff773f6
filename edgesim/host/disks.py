"""Disks: the device that a file lies on, whose read rate can be limited, and its page cache."""

import os
from pathlib import Path

_BLOCK = Path("/sys/dev/block")


def device_of(path: Path, block: Path = _BLOCK) -> str | None:
    """Return the disk that holds `path`, as ``/dev/NAME``; None for files that are in memory or on a network.

    For a partition it is the whole disk: control groups of version 2 limit whole disks only.
    """
    try:
        number = path.stat().st_dev
        device = (block / f"{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    except OSError:
        return None
    if (device / "partition").exists():
        device = device.parent
    name = next(
        (
            line.partition("=")[2]
            for line in (device / "uevent").read_text().splitlines()
            if line.startswith("DEVNAME=")
        ),
        None,
    )
    return f"/dev/{name}" if name is not None and Path(f"/dev/{name}").exists() else None


def forget(path: Path) -> None:
    """Drop a file's pages from this host's page cache, so that the next read comes from the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
