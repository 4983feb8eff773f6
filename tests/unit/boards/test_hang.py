"""A server that hangs is told from a slow one."""

import pytest

from edgesim.boards import hang
from edgesim.errors import EmulatorCrashed
from edgesim.recording import Reading
from tests.support.fake_device import FakeDevice


def test_server_that_reads_its_model_or_has_just_started_does_not_hang() -> None:
    def reading(second: int, read_bytes: int) -> Reading:
        return Reading(second * 10**9, cpu_seconds=1.0, memory_bytes=1, read_bytes=read_bytes)

    assert not hang.stands_still([reading(second, 0) for second in range(20)])
    assert hang.stands_still([reading(second, 0) for second in range(60)])
    assert not hang.stands_still([reading(second, second << 20) for second in range(60)])
    assert not hang.stands_still([Reading(second * 10**9, None, None) for second in range(60)])


class StillDevice(FakeDevice):
    """A device that has used some CPU, and uses none any more."""

    def __init__(self, paused_s: float = 0.0) -> None:
        super().__init__()
        self.second = 0
        self._paused_s = paused_s

    def read(self) -> Reading:
        return Reading(self.second * 10**9, cpu_seconds=2.0, memory_bytes=1)

    def paused_s(self) -> float:
        return self._paused_s


@pytest.mark.parametrize(("paused_s", "words"), [(0.0, "the emulator hangs"), (31.0, "another program paused")])
def test_a_wait_for_a_device_that_stands_still_ends_and_says_why(paused_s: float, words: str) -> None:
    device = StillDevice(paused_s)
    watch = hang.Watch(device)
    with pytest.raises(EmulatorCrashed, match=words):
        for device.second in range(99):
            watch(float(device.second))
    assert hang.HANG_S <= device.second <= hang.HANG_S + 2


def test_a_device_that_had_nothing_to_do_between_two_answers_does_not_hang() -> None:
    device = StillDevice()
    watch = hang.Watch(device)
    for device.second in range(300):
        watch(float(device.second % 25))


def test_a_device_that_had_nothing_to_do_before_a_wait_that_is_looked_at_late_does_not_hang() -> None:
    device = StillDevice()
    watch = hang.Watch(device)
    watch(1.0)
    device.second = 60
    watch(2.5)
