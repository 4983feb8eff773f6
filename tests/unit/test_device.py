"""Limits, emulator and readiness of a device."""

import itertools
import os
import struct
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.boards import hang, readiness
from edgesim.boards.limits import limits_of
from edgesim.delivery.deliver import model_mounts
from edgesim.engine.container import State
from edgesim.errors import (
    DeviceDied,
    DeviceError,
    EmulatorCrashed,
    EmulatorLacksCore,
    EmulatorMissing,
    EmulatorStale,
    EmulatorTooOld,
    HostError,
    IllegalInstruction,
    NotReady,
    OutOfMemory,
)
from edgesim.host import disks, emulator
from edgesim.host.emulator import Emulator
from edgesim.models import repository
from edgesim.recording import Reading
from tests.conftest import write_model
from tests.support.fake_device import FakeDevice

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


def test_a_core_that_the_emulator_lacks_is_refused_with_those_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Emulator("10.0.2", "/usr/bin/qemu", ("cortex-a57", "cortex-a76"))
    monkeypatch.setattr(emulator, "host_architecture", lambda: "amd64")
    monkeypatch.setattr(emulator, "probe", lambda: found)
    assert emulator.require("arm64", "cortex-a76") is found
    with pytest.raises(EmulatorLacksCore, match=r"no core 'cortex-a55'; it has cortex-a57, cortex-a76"):
        emulator.require("arm64", "cortex-a55")


QEMU_7, QEMU_10 = Emulator("7.2.13", "/usr/bin/qemu"), Emulator("10.0.2", "/usr/bin/qemu")


@pytest.mark.parametrize(
    ("running", "installed", "registered", "error", "fix"),
    [
        (None, None, False, EmulatorMissing, "install"),
        (None, "10.0.2", False, EmulatorMissing, "install"),
        (None, "10.0.2", True, EmulatorStale, "start"),
        (QEMU_7, "7.2.13", True, EmulatorTooOld, "install"),
        (QEMU_7, None, True, EmulatorTooOld, "install"),
        (QEMU_7, "10.0.2", True, EmulatorStale, "start"),
    ],
)
def test_an_emulator_that_cannot_be_relied_on_is_named_with_its_fix(
    running: Emulator | None, installed: str | None, registered: bool, error: type[HostError], fix: str
) -> None:
    with pytest.raises(error) as caught:
        emulator.judge("arm64", running=running, installed=installed, registered=registered)
    assert type(caught.value) is error
    assert f"scripts/engine {fix}" in caught.value.fix


def test_a_good_emulator_is_taken_even_if_another_is_installed() -> None:
    assert emulator.judge("arm64", running=QEMU_10, installed="10.1.0", registered=True) is QEMU_10


def test_what_is_not_emulated_is_refused() -> None:
    with pytest.raises(HostError, match="emulates arm64 boards"):
        emulator.judge("amd64", running=None, installed=None, registered=False)


def test_the_arm64_program_is_a_whole_elf_file() -> None:
    program = emulator.arm64_program()
    machine, entry = struct.unpack_from("<H", program, 18)[0], struct.unpack_from("<Q", program, 24)[0]
    assert program[:4] == b"\x7fELF"
    assert machine == 183, "EM_AARCH64"
    assert 0 < entry - 0x400000 < len(program)


def test_model_becomes_a_repository_by_mounts_alone(tmp_path: Path) -> None:
    found = repository.find(str(write_model(tmp_path / "my net.onnx")))
    (mount,) = model_mounts(found, "/models")
    assert (mount.source, mount.target) == (tmp_path / "my net.onnx", "/models/my net/1/model.onnx")


# --- readiness --------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that advances only by `sleep`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


ILLEGAL = """illegal instruction 0x4e829420 of the extension asimddp: this core does not have it
qemu: uncaught target signal 4 (Illegal instruction) - core dumped"""


def explain(state: State) -> DeviceError:
    return DeviceDied(f"ended with {state.exit_code}")


def test_wait_returns_the_time_until_the_server_is_ready() -> None:
    clock, answers = Clock(), itertools.chain([False] * 9, itertools.repeat(True))
    took = readiness.wait(
        FakeDevice(),
        "/ready",
        explain_death=explain,
        timeout_s=10,
        clock=clock,
        sleep=clock.sleep,
        ask=lambda _: next(answers),
    )
    assert took == pytest.approx(clock.now)
    assert 0 < took < 1


def test_wait_ends_at_once_if_the_server_has_died() -> None:
    clock, device = Clock(), FakeDevice()
    device.die(3)
    with pytest.raises(DeviceDied, match="ended with 3"):
        readiness.wait(device, "/ready", explain_death=explain, timeout_s=99, clock=clock, sleep=clock.sleep)
    assert clock.now == 0


def test_wait_ends_at_the_timeout_and_shows_the_log() -> None:
    clock = Clock()
    with pytest.raises(NotReady) as caught:
        readiness.wait(
            FakeDevice(log="still loading"),
            "/ready",
            explain_death=explain,
            timeout_s=5,
            clock=clock,
            sleep=clock.sleep,
            ask=lambda _: False,
        )
    assert caught.value.log == "still loading"
    assert clock.now == pytest.approx(5, abs=0.2)


def test_wait_ends_if_the_emulator_crashed_and_hangs() -> None:
    clock = Clock()
    device = FakeDevice(log="qemu: uncaught target signal 11 (Segmentation fault) - core dumped")
    with pytest.raises(EmulatorCrashed, match="says nothing about the model"):
        readiness.wait(
            device, "/ready", explain_death=explain, timeout_s=99, clock=clock, sleep=clock.sleep, ask=lambda _: False
        )
    assert clock.now < 2


class StillDevice(FakeDevice):
    """A device that uses no CPU."""

    def read(self) -> Reading:
        return Reading(0, cpu_seconds=2.0, memory_bytes=1)


class BusyDevice(FakeDevice):
    """A device that uses a core, as a working emulator does."""

    seconds = itertools.count()

    def read(self) -> Reading:
        return Reading(0, cpu_seconds=next(self.seconds), memory_bytes=1)


@pytest.mark.parametrize(("device", "error"), [(StillDevice(), EmulatorCrashed), (BusyDevice(), NotReady)])
def test_emulator_that_hangs_is_distinguished_from_a_slow_one(device: FakeDevice, error: type[DeviceError]) -> None:
    clock = Clock()
    with pytest.raises(error):
        readiness.wait(
            device,
            "/ready",
            explain_death=explain,
            timeout_s=99,
            emulated=True,
            clock=clock,
            sleep=clock.sleep,
            ask=lambda _: False,
        )
    assert (clock.now < 35) is (error is EmulatorCrashed)


def test_server_that_reads_its_model_or_has_just_started_does_not_hang() -> None:
    def reading(second: int, read_bytes: int) -> Reading:
        return Reading(second * 10**9, cpu_seconds=1.0, memory_bytes=1, read_bytes=read_bytes)

    assert not hang.stands_still([reading(second, 0) for second in range(20)])
    assert hang.stands_still([reading(second, 0) for second in range(60)])
    assert not hang.stands_still([reading(second, second << 20) for second in range(60)])
    assert not hang.stands_still([Reading(second * 10**9, None, None) for second in range(60)])


@pytest.mark.parametrize(
    ("state", "log", "error", "words"),
    [
        (State(running=False, exit_code=137, out_of_memory=True), "", OutOfMemory, "limit of 96.0 MiB while loading"),
        (State(running=False, exit_code=3), "bad file", DeviceDied, "exit code 3 while loading"),
        (State(running=False, exit_code=139), "qemu: uncaught target signal 11 (x)", EmulatorCrashed, "signal 11"),
        (
            State(running=False, exit_code=132),
            ILLEGAL,
            IllegalInstruction,
            "on the board, too: illegal instruction 0x4e8",
        ),
    ],
)
def test_each_cause_of_death_has_its_own_error(
    digits: repository.Model, state: State, log: str, error: type[DeviceError], words: str
) -> None:
    died = readiness.death(state, log, model=digits, memory_limit_bytes=96 * 2**20, while_doing="loading the model")
    assert type(died) is error
    assert words in died.problem
