"""The items of a check, by themselves."""

import pytest

from edgesim import profiles
from edgesim.errors import DeviceDied, DeviceError, EmulatorCrashed, KilledFromOutside
from edgesim.jobs import check_items
from edgesim.results.sections import EmulatorSection

SHARE = EmulatorSection(floor_bytes=80 << 20, native_bytes=30 << 20, share_bytes=50 << 20)


@pytest.mark.parametrize(
    ("peak_bytes", "emulator", "emulated", "word"),
    [
        (100 << 20, SHARE, True, "PASS"),
        (100 << 20, None, False, "PASS"),
        (64 << 30, None, False, "FAIL"),
        # The emulator's memory is in the peak: what the board needs is less, by how much is not known.
        (64 << 30, SHARE, True, "INCONCLUSIVE"),
        (64 << 30, None, True, "INCONCLUSIVE"),
        (None, None, True, "INCONCLUSIVE"),
    ],
)
def test_memory_fails_only_if_no_emulator_is_in_the_peak(
    peak_bytes: int | None, emulator: EmulatorSection | None, emulated: bool, word: str
) -> None:
    profile = profiles.load("jetson-nano")
    assert check_items.memory(peak_bytes, emulator, profile, emulated=emulated).verdict == word


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (DeviceDied("the server ended with exit code 3"), "FAIL"),
        (EmulatorCrashed("the emulator crashed"), "INCONCLUSIVE"),
        (KilledFromOutside("the server ended with exit code 137"), "INCONCLUSIVE"),
    ],
)
def test_only_what_the_model_did_is_its_failure(error: DeviceError, word: str) -> None:
    item = check_items.failure(error)
    assert (item.name, item.verdict) == ("loads", word)
    assert error.problem in item.finding
