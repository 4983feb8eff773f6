"""An emulator that stands still, as one does that hangs: here another program has stopped it."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.conftest import begin, container_of, wait_for

pytestmark = [pytest.mark.emulation, pytest.mark.usefixtures("nothing_left_behind")]


WHY = "another program paused the board's container, or stopped its server by a signal: it made no progress for 30 s"


def test_a_server_that_never_gets_ready_since_it_stands_still_is_started_again_and_counted(tmp_path: Path) -> None:
    options = ("--execution", "emulated", "--requests", "3", "-o", tmp_path / "r.json")
    running = begin("run", "jetson-nano", "digits", *options)
    wait_for(running, "waiting for the server")
    time.sleep(0.5)
    subprocess.check_call(["docker", "kill", "--signal", "STOP", container_of(running.pid)], stdout=subprocess.DEVNULL)
    _, stderr = running.communicate(timeout=150)
    assert running.returncode == 0, stderr
    assert WHY in stderr
    assert json.loads((tmp_path / "r.json").read_text())["emulator_failures"] == 1


@pytest.mark.parametrize("moment", ["ready:", "single-stream"], ids=["the first one", "of a load"])
def test_a_request_that_waits_for_a_board_that_stands_still_ends_and_the_board_is_started_again(
    tmp_path: Path, moment: str
) -> None:
    options = ("--execution", "emulated", "--duration", "20", "-o", tmp_path / "r.json")
    running = begin("run", "jetson-nano", "digits", *options)
    wait_for(running, moment)
    subprocess.check_call(["docker", "kill", "--signal", "STOP", container_of(running.pid)], stdout=subprocess.DEVNULL)
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 0, stderr
    assert f"{WHY} while a request waited for its answer; once more" in stderr


def test_a_check_does_not_blame_the_model_for_a_board_that_stands_still() -> None:
    running = begin("check", "jetson-nano", "digits")
    wait_for(running, "comparing the board's answers")
    subprocess.check_call(["docker", "kill", "--signal", "STOP", container_of(running.pid)], stdout=subprocess.DEVNULL)
    stdout, _ = running.communicate(timeout=120)
    assert running.returncode == 6, stdout
    assert WHY in stdout
    assert "FAIL  answers" not in stdout
