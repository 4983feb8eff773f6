"""Files that are written whole, or not at all: an older file stays as it is when the disk is full."""

from pathlib import Path

from edgesim.host.scratch import scratch_file


def write(path: Path, data: bytes) -> None:
    """Write a file, and make its directory.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = scratch_file(path)
    try:
        scratch.write_bytes(data)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
