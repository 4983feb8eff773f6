"""What a machine declares as a worker of Dask."""

import shlex

from edgesim.engine.context import Context
from edgesim.host.emulator import host_architecture
from edgesim.jobs import worker_resources

NOWHERE = Context(name=None, url="unix:///nowhere/docker.sock")


def test_machine_without_an_engine_runs_boards_as_plain_processes_alone() -> None:
    assert worker_resources.of_host(NOWHERE) == {"board": 1, f"native-{host_architecture()}": 1}


def test_machine_that_is_a_board_declares_the_board() -> None:
    assert "jetson-nano" in worker_resources.of_host(NOWHERE, ["jetson-nano"])


def test_command_has_no_character_that_a_shell_changes() -> None:
    command = worker_resources.command_line({"board": 1, "native-arm64": 1}, "tls://host:8786")
    assert command.split() == shlex.split(command)
    assert command.endswith(" -m dask worker tls://host:8786 --nthreads 1 --resources board=1,native-arm64=1")
