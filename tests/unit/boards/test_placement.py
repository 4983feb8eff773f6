"""Where a board runs: execution and architecture by what the user requests and the engine has."""

import pytest

from edgesim import profiles
from edgesim.boards.placement import Placement, check_execution, place
from edgesim.engine.context import Context
from edgesim.errors import UsageError
from edgesim.options import Execution

HERE = Context(name=None, url="unix:///var/run/docker.sock")
FAR = Context(name="board1", url="tcp://10.0.0.7:2375")


@pytest.mark.parametrize(
    ("requested", "engine", "placement"),
    [
        (None, "amd64", Placement(execution="emulated", architecture="arm64")),
        (None, "arm64", Placement(execution="native", architecture="arm64")),
        ("native", "arm64", Placement(execution="native", architecture="arm64")),
        ("scaled", "amd64", Placement(execution="scaled", architecture="amd64")),
        ("scaled", "arm64", Placement(execution="scaled", architecture="arm64")),
    ],
)
def test_execution_and_architecture_follow_from_the_engine(
    requested: Execution | None, engine: str, placement: Placement
) -> None:
    nano = profiles.load("jetson-nano")
    assert place(nano, requested, engine_architecture=engine, context=HERE) == placement


@pytest.mark.parametrize(("requested", "engine"), [("native", "amd64"), ("emulated", "arm64"), ("host", "amd64")])
def test_execution_that_the_engine_cannot_give_is_refused(requested: Execution, engine: str) -> None:
    with pytest.raises(UsageError, match=rf"`execution={requested}`: an arm64 board on this {engine} host runs as"):
        place(profiles.load("jetson-nano"), requested, engine_architecture=engine, context=HERE)


def test_board_of_the_machines_architecture_runs_on_another_machine() -> None:
    placement = place(profiles.load("jetson-nano"), None, engine_architecture="arm64", context=FAR)
    assert placement.execution == "native"


def test_board_is_emulated_on_another_machine_as_on_this_one() -> None:
    assert place(profiles.load("jetson-nano"), None, engine_architecture="amd64", context=FAR).execution == "emulated"


def test_plain_process_runs_as_host_only() -> None:
    check_execution(None, "host", "`engine=local`")
    check_execution("host", "host", "`engine=local`")
    with pytest.raises(UsageError, match="`execution=native`: `engine=local` runs as host"):
        check_execution("native", "host", "`engine=local`")
