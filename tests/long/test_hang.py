"""An emulator that hangs, which a stopped process is to everybody who waits for it."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.conftest import begin, container_of, wait_for

pytestmark = [pytest.mark.emulation, pytest.mark.usefixtures("nothing_left_behind")]


def test_a_server_that_never_gets_ready_since_its_emulator_hangs_is_started_again_and_counted(tmp_path: Path) -> None:
    options = ("--execution", "emulated", "--requests", "3", "-o", tmp_path / "r.json")
    running = begin("run", "jetson-nano", "digits", *options)
    wait_for(running, "waiting for the server")
    time.sleep(0.5)
    subprocess.check_call(["docker", "kill", "--signal", "STOP", container_of(running.pid)], stdout=subprocess.DEVNULL)
    _, stderr = running.communicate(timeout=150)
    assert running.returncode == 0, stderr
    assert "the emulator hangs, which says nothing about the model" in stderr
    assert json.loads((tmp_path / "r.json").read_text())["emulator_failures"] == 1


@pytest.mark.timeout(900)
def test_a_request_that_waits_for_a_hanging_emulator_ends_with_its_timeout_and_is_told(tmp_path: Path) -> None:
    options = ("--execution", "emulated", "--duration", "20", "-o", tmp_path / "r.json")
    running = begin("run", "jetson-nano", "digits", *options)
    wait_for(running, "single-stream")
    subprocess.check_call(["docker", "kill", "--signal", "STOP", container_of(running.pid)], stdout=subprocess.DEVNULL)
    _, stderr = running.communicate(timeout=600)
    assert running.returncode == 0, stderr
    assert "while a request waited for its answer; once more" in stderr
