"""Where a board runs: execution and architecture by what the user requests and the engine's machine is."""

import pytest

from edgesim import profiles
from edgesim.boards import placement
from edgesim.boards.placement import check_execution, local_execution, place
from edgesim.engine.context import Context
from edgesim.errors import UsageError
from edgesim.host import identity
from edgesim.host.identity import CoreGroup, MachineIdentity
from edgesim.options import Execution
from edgesim.profiles import DeviceProfile

HERE = Context(name=None, url="unix:///var/run/docker.sock")
FAR = Context(name="board1", url="tcp://10.0.0.7:2375")
NANO = profiles.load("jetson-nano").model_copy(update={"device_tree": ("NVIDIA Jetson Nano",)})
THE_BOARD = MachineIdentity(
    architecture="arm64",
    cores=(CoreGroup(core="Cortex-A57", count=4),),
    board="NVIDIA Jetson Nano Developer Kit",
)
CI_RUNNER = MachineIdentity(architecture="arm64", cores=(CoreGroup(core="Neoverse-N1", count=4),))


def never() -> MachineIdentity:
    raise AssertionError("the machine was read, although the architecture decides")


@pytest.mark.parametrize(
    ("requested", "machine", "execution", "architecture"),
    [
        (None, None, "emulated", "arm64"),
        ("scaled", None, "scaled", "amd64"),
        (None, THE_BOARD, "native", "arm64"),
        ("native", THE_BOARD, "native", "arm64"),
        ("emulated", THE_BOARD, "emulated", "arm64"),
        (None, CI_RUNNER, "same-architecture", "arm64"),
        ("same-architecture", CI_RUNNER, "same-architecture", "arm64"),
        ("scaled", CI_RUNNER, "scaled", "arm64"),
        ("emulated", CI_RUNNER, "emulated", "arm64"),
    ],
)
def test_execution_follows_from_the_machine(
    requested: Execution | None, machine: MachineIdentity | None, execution: Execution, architecture: str
) -> None:
    """Without `machine`, the host is x86, which needs no closer look."""
    placed = place(
        NANO,
        requested,
        engine_architecture="arm64" if machine is not None else "amd64",
        context=HERE,
        machine=lambda: machine if machine is not None else never(),
    )
    assert (placed.execution, placed.architecture) == (execution, architecture)
    assert placed.comparison.same_architecture == (machine is not None)
    assert placed.comparison.is_the_board == (machine is THE_BOARD)
    assert placed.emulator_in_command == (execution == "emulated" and machine is not None)


@pytest.mark.parametrize(
    ("requested", "machine"),
    [("native", None), ("host", None), ("same-architecture", None), ("same-architecture", THE_BOARD)],
)
def test_execution_that_the_engine_cannot_give_is_refused(
    requested: Execution, machine: MachineIdentity | None
) -> None:
    architecture = "arm64" if machine is not None else "amd64"
    with pytest.raises(UsageError, match=rf"`execution={requested}`: an arm64 board on this {architecture} host runs"):
        place(NANO, requested, engine_architecture=architecture, context=HERE, machine=lambda: machine or never())


def test_native_on_another_machine_than_the_board_is_refused_with_what_differs() -> None:
    with pytest.raises(UsageError) as caught:
        place(NANO, "native", engine_architecture="arm64", context=HERE, machine=lambda: CI_RUNNER)
    assert "core: Neoverse-N1, the board's is Cortex-A57" in caught.value.problem
    assert "board: not reported by the machine, the board's is NVIDIA Jetson Nano" in caught.value.problem
    assert caught.value.fix == "omit `execution`, or use `execution=same-architecture`"


def test_board_of_the_machines_architecture_runs_on_another_machine() -> None:
    for machine, execution in ((THE_BOARD, "native"), (CI_RUNNER, "same-architecture")):
        placed = place(NANO, None, engine_architecture="arm64", context=FAR, machine=lambda machine=machine: machine)  # type: ignore[misc]
        assert placed.execution == execution


def test_board_is_emulated_on_another_machine_as_on_this_one() -> None:
    assert place(NANO, None, engine_architecture="amd64", context=FAR, machine=never).execution == "emulated"
    with pytest.raises(UsageError, match="`execution=emulated`: board1 is another machine"):
        place(NANO, "emulated", engine_architecture="arm64", context=FAR, machine=lambda: CI_RUNNER)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (NANO.served_by(reference="someone/server:1"), "image someone/server:1 starts its own server"),
        (profiles.load("x86-gateway"), "edgesim emulates arm64 boards, and x86-gateway is amd64"),
    ],
)
def test_what_cannot_be_emulated_beside_the_same_architecture_is_said(profile: DeviceProfile, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        place(profile, "emulated", engine_architecture=profile.architecture, context=HERE, machine=lambda: CI_RUNNER)


def test_profile_with_the_core_of_its_host_is_native_and_no_board() -> None:
    placed = place(profiles.load("x86-gateway"), None, engine_architecture="amd64", context=HERE, machine=never)
    assert placed.execution == "native"
    assert not placed.comparison.is_the_board


def test_plain_process_is_native_on_the_board_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "host_architecture", lambda: "arm64")
    monkeypatch.setattr(identity, "of_this_host", lambda: THE_BOARD)
    assert local_execution(NANO)[0] == "native"
    monkeypatch.setattr(identity, "of_this_host", lambda: CI_RUNNER)
    assert local_execution(NANO)[0] == "host"
    monkeypatch.setattr(placement, "host_architecture", lambda: "amd64")
    assert local_execution(profiles.load("x86-gateway"))[0] == "host"


def test_requested_execution_is_the_actual_one_or_refused() -> None:
    check_execution(None, "host", "`engine=local`")
    check_execution("host", "host", "`engine=local`")
    with pytest.raises(UsageError, match="`execution=native`: `engine=local` runs as host"):
        check_execution("native", "host", "`engine=local`")
