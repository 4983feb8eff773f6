"""Waiting for a server ends when it is ready, dead, stuck or late."""

import itertools

import pytest

from edgesim.boards import readiness
from edgesim.engine.container import State
from edgesim.errors import (
    DeviceDied,
    DeviceError,
    EmulatorCrashed,
    IllegalInstruction,
    KilledFromOutside,
    NotReady,
    OutOfMemory,
)
from edgesim.models import repository
from edgesim.recording import Reading
from tests.support.fake_device import FakeDevice


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


class StarvedDevice(StillDevice):
    """A device that a busy host gives no CPU."""

    def is_busy(self) -> bool:
        return True


class UnseenDevice(StillDevice):
    """A device in a container beside edgesim's own, which sees no thread of it."""

    def is_busy(self) -> None:
        return None


class UnseenSlowDevice(UnseenDevice):
    """Such a device that a busy host gives the twentieth part of a core."""

    seconds = itertools.count()

    def read(self) -> Reading:
        return Reading(0, cpu_seconds=next(self.seconds) / 20, memory_bytes=1)


@pytest.mark.parametrize(
    ("device", "error"),
    [
        (StillDevice(), EmulatorCrashed),
        (StarvedDevice(), NotReady),
        (BusyDevice(), NotReady),
        (UnseenDevice(), EmulatorCrashed),
        (UnseenSlowDevice(), NotReady),
    ],
)
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


@pytest.mark.parametrize(
    ("state", "log", "error", "words"),
    [
        (State(running=False, exit_code=137, out_of_memory=True), "", OutOfMemory, "limit of 96.0 MiB while loading"),
        (State(running=False, exit_code=3), "bad file", DeviceDied, "exit code 3 while loading"),
        (
            State(running=False, exit_code=3),
            "Failed to construct locale with name:en_US.UTF-8:locale::facet::x",
            DeviceDied,
            "the serving image lacks the locale en_US.UTF-8",
        ),
        (
            State(running=False, exit_code=137),
            "",
            KilledFromOutside,
            "model: by SIGKILL, with no sign of a memory limit",
        ),
        (
            State(running=False, exit_code=-9),
            "",
            KilledFromOutside,
            "model: by SIGKILL, with no sign of a memory limit",
        ),
        (
            State(running=False, exit_code=143),
            "",
            KilledFromOutside,
            "exit code 143 while loading the model: by SIGTERM",
        ),
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


@pytest.mark.parametrize("emulated", [False, True])
def test_kill_says_that_the_model_does_not_fit_only_where_no_emulator_was_in_the_memory(
    digits: repository.Model, emulated: bool
) -> None:
    killed = State(running=False, exit_code=137, out_of_memory=True)
    died = readiness.death(killed, "", model=digits, memory_limit_bytes=2**27, while_doing="loading", emulated=emulated)
    assert isinstance(died, OutOfMemory)
    assert died.emulated is emulated
    assert ("whether the model fits without the emulator is unknown" in died.problem) is emulated


def test_device_is_read_while_it_loads_the_model() -> None:
    clock, answers, readings = Clock(), itertools.chain([False] * 9, itertools.repeat(True)), list[Reading]()
    readiness.wait(
        FakeDevice(),
        "/ready",
        explain_death=explain,
        timeout_s=10,
        readings=readings,
        clock=clock,
        sleep=clock.sleep,
        ask=lambda _: next(answers),
    )
    assert len(readings) >= 3
