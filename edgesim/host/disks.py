"""The storage device that a file lies on: what a read rate can be held to."""

import os
from pathlib import Path

_BLOCK = Path("/sys/dev/block")


def device_of(path: Path, block: Path = _BLOCK) -> str | None:
    """The disk that holds `path`, as ``/dev/NAME``; None where there is none, as for files in memory or on a network.

    Of a partition it is the whole disk: control groups of version 2 know no other.
    """
    try:
        number = path.stat().st_dev
        found = (block / f"{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    except OSError:
        return None
    if (found / "partition").exists():
        found = found.parent
    name = next(
        (line.partition("=")[2] for line in (found / "uevent").read_text().splitlines() if line.startswith("DEVNAME=")),
        None,
    )
    return f"/dev/{name}" if name is not None and Path(f"/dev/{name}").exists() else None


def forget(path: Path) -> None:
    """Drop a file's pages from this host's memory, so that the next read of it is one of the storage."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
