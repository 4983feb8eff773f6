"""Recorded machines beside every profile: exactly the boards themselves are taken for the board."""

import pytest

from edgesim import profiles
from edgesim.host import identity
from edgesim.profiles import DeviceProfile
from tests.support.machines import MACHINES, RecordedMachine, machine


def every_profile_in_every_mode() -> list[DeviceProfile]:
    loaded = [profiles.load(name) for name in profiles.names()]
    return [*loaded, *(each.in_mode(mode) for each in loaded for mode in each.modes if mode != each.mode)]


PROFILES = every_profile_in_every_mode()


@pytest.mark.parametrize("recorded", MACHINES, ids=lambda recorded: recorded.name)
def test_a_machine_is_the_board_of_exactly_its_own_profiles(recorded: RecordedMachine) -> None:
    found = {each.reference for each in PROFILES if identity.compare(recorded.identity, each).is_the_board}
    assert found == recorded.boards


@pytest.mark.parametrize("recorded", MACHINES, ids=lambda recorded: recorded.name)
def test_every_core_of_a_machine_is_counted(recorded: RecordedMachine) -> None:
    assert recorded.identity.count == sum(cores.count for cores in recorded.cores)
    assert recorded.identity.features == tuple(recorded.features.split())
    assert recorded.identity.board == recorded.model


def test_a_board_with_its_big_cores_on_does_not_run_models_on_the_little_ones() -> None:
    """Nothing binds a container to the little cores: the scheduler gives heavy threads the big ones."""
    comparison = identity.compare(machine("Orange Pi 5").identity, profiles.load("rk3588:little"))
    assert not comparison.is_the_board
    assert "other cores: 4 Cortex-A76" in comparison.differences
