"""Limits that were set beside limits that were read back, on this host and inside a container."""

from dataclasses import replace
from typing import cast

import pytest

from edgesim import profiles
from edgesim.boards.board import Board
from edgesim.boards.limits import limits_of
from edgesim.engine.container import OutsideFacts
from edgesim.host.host_facts import HostFacts
from edgesim.jobs import read_back

LIMITS = limits_of(profiles.load("x86-gateway"), host_cores=2, host_memory_bytes=16 << 30)
HELD = LIMITS.requested
HOST = HostFacts(cpu="a core", cores=2, memory_bytes=16 << 30, kernel="Linux 6.1", engine="Docker 28.0")


@pytest.fixture
def board() -> Board:
    class Limited:
        limits, host = LIMITS, HOST

    return cast("Board", Limited())


def test_limits_that_the_kernel_of_this_host_holds_are_read(board: Board) -> None:
    readings = read_back.readings(board, OutsideFacts(limits=HELD, limits_known=True), {})
    assert [(reading.name, reading.read, reading.is_lost) for reading in readings] == [
        ("memory_bytes", True, False),
        ("cpus", True, False),
        ("processes", True, False),
    ]


def test_limit_that_the_kernel_does_not_have_is_lost(board: Board) -> None:
    outside = OutsideFacts(limits=replace(HELD, cpus=None), limits_known=True)
    (lost,) = [reading for reading in read_back.readings(board, outside, {}) if reading.is_lost]
    assert (lost.title, lost.finding) == ("CPU time", "2 set, no limit in the kernel")


def test_limit_that_is_larger_than_the_one_that_was_set_is_lost(board: Board) -> None:
    # As version 1 of control groups writes "no limit".
    outside = OutsideFacts(limits=replace(HELD, memory_bytes=9223372036854771712), limits_known=True)
    (lost,) = [reading for reading in read_back.readings(board, outside, {}) if reading.is_lost]
    assert lost.title == "memory"


def test_limit_that_only_the_server_sees_is_read_inside_the_container(board: Board) -> None:
    inside = {"memory_limit_bytes": HELD.memory_bytes, "cpu_limit": None}
    memory, cpus = read_back.readings(board, OutsideFacts(), inside)
    assert (memory.read, memory.is_lost) == (True, False)
    assert (cpus.read, cpus.is_lost) == (False, False)
    section = next(each for each in read_back.sections(board, OutsideFacts(), inside) if each.name == "memory_bytes")
    assert section.applied == HELD.memory_bytes


def test_limit_that_the_engine_cannot_set_is_lost_though_nobody_reads_it_back() -> None:
    class Limited:
        limits, host = LIMITS.without(["memory", "swap"]), HOST

    memory, cpus = read_back.readings(cast("Board", Limited()), OutsideFacts(), {})
    assert (memory.name, memory.is_lost) == ("memory_bytes", True)
    assert (cpus.name, cpus.is_lost) == ("cpus", False)


def test_rounding_of_the_kernel_is_no_lost_limit(board: Board) -> None:
    assert HELD.memory_bytes is not None
    outside = OutsideFacts(limits=replace(HELD, memory_bytes=HELD.memory_bytes - 4095), limits_known=True)
    assert not [reading for reading in read_back.readings(board, outside, {}) if reading.is_lost]
