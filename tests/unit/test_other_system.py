"""Commands that need no Linux kernel, where what macOS and Windows lack is hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesim.jobs import doctor
from tests.conftest import write_model
from tests.support.results import counted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("system", ["macos", "windows"])
def test_commands_without_a_container_run_on_another_system(system: str, tmp_path: Path) -> None:
    result, model = tmp_path / "r.json", write_model(tmp_path / "net.onnx")
    result.write_text(counted((900, 1000, 1100)).as_json())
    commands = [
        ["predict", "jetson-nano", str(model), "--json"],
        ["report", str(result)],
        ["report", str(result), "-o", str(tmp_path / "r.html")],
        ["compare", str(result), str(result)],
        ["gate", str(result), "--rule", "instructions <= 2000"],
        ["profiles", "list"],
        ["profiles", "show", "jetson-nano"],
        ["models", "list"],
        ["serve", "--help"],
        ["gc"],
    ]
    words = [sys.executable, "-m", "tests.support.other_system", system, json.dumps(commands)]
    environment = os.environ | {"DOCKER_HOST": "unix:///nowhere/docker.sock", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ended) == len(commands), done.stderr
    for command, each in zip(commands, ended, strict=True):
        expected = 3 if command == ["gc"] else 0  # the engine that was named does not answer
        assert each["code"] == expected, f"{command}: {each['errors']}"
        assert "Traceback" not in each["errors"]


def test_doctor_says_which_commands_run_on_a_system() -> None:
    assert "every command" in doctor.commands_of("Linux")
    assert doctor.commands_of("Darwin").startswith("macOS: predict, gate RESULT")
    assert "up, stack and count need Linux" in doctor.commands_of("Windows")
