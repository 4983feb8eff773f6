"""The disk that a file lies on."""

import os
from pathlib import Path

from edgesim.host import disks


def test_a_partition_s_rate_is_its_disk_s(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    disk = tmp_path / "devices" / "null"
    partition = disk / "null1"
    partition.mkdir(parents=True)
    (partition / "partition").write_text("1\n")
    (disk / "uevent").write_text("MAJOR=1\nDEVNAME=null\nDEVTYPE=disk\n")
    (tmp_path / f"{os.major(number)}:{os.minor(number)}").symlink_to(partition)
    assert disks.device_of(tmp_path, block=tmp_path) == "/dev/null"


def test_files_in_memory_lie_on_no_disk() -> None:
    assert disks.device_of(Path("/proc")) is None
    assert disks.device_of(Path("/nowhere")) is None
