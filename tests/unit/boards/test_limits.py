"""The limits that a host can enforce for a board, and the shortfalls."""

from dataclasses import replace
from pathlib import Path

from edgesim import profiles
from edgesim.boards.limits import limits_of
from edgesim.host import disks

GIB = 2**30


NO_DISK = "storage rate: not limited: the model is not on a disk of this host"


def test_bigger_host_gives_the_board_all_of_its_limits() -> None:
    nano = profiles.load("jetson-nano")
    limits = limits_of(nano, host_cores=16, host_memory_bytes=64 * GIB)
    assert (limits.cpus, limits.intra_op_threads, limits.memory_bytes) == (4, 4, nano.memory.visible_bytes)
    assert limits.shortfalls == (NO_DISK,)


def test_smaller_host_limits_the_board_and_names_the_shortfalls() -> None:
    limits = limits_of(profiles.load("jetson-nano"), host_cores=2, host_memory_bytes=2 * GIB)
    assert limits.cpus == 2
    assert limits.intra_op_threads == 2, "each thread has a whole core, as on the board"
    assert limits.shortfalls == (
        "cores: the board has 4, this host has 2: running 2 threads",
        "memory: the board has 3.9 GiB, this host has 2.0 GiB",
        NO_DISK,
    )


def test_files_on_a_disk_are_read_at_the_boards_rate(tmp_path: Path) -> None:
    disk = disks.device_of(tmp_path)
    limits = limits_of(profiles.load("raspberry-pi-4"), host_cores=4, host_memory_bytes=8 * GIB, files=[tmp_path])
    if disk is None:
        assert limits.shortfalls == (NO_DISK,)
    else:
        assert (limits.storage_device, limits.read_bytes_per_s) == (disk, 50_000_000)
        assert limits.shortfalls == ()


def test_limit_that_the_engine_cannot_set_is_a_shortfall() -> None:
    limits = limits_of(profiles.load("jetson-nano"), host_cores=4, host_memory_bytes=8 * GIB)
    assert limits.without(()) == limits
    lacking = limits.without(("swap", "CPU", "cores")).shortfalls
    assert [words.partition(":")[0] for words in lacking] == ["storage rate", "swap", "CPU time", "core numbers"]


def test_storage_rate_that_the_engine_would_discard_is_not_requested() -> None:
    limits = limits_of(profiles.load("jetson-nano"), host_cores=4, host_memory_bytes=8 * GIB)
    on_disk = replace(limits, shortfalls=(), storage_device="/dev/vda", read_bytes_per_s=9, write_bytes_per_s=5)
    without = on_disk.without(("storage rates",))
    assert (without.read_bytes_per_s, without.write_bytes_per_s) == (None, None)
    assert without.shortfalls == ("storage rate: not limited: the engine cannot limit it on its host",)
    assert limits.without(("storage rates",)).shortfalls == limits.shortfalls  # there is no disk: said once
