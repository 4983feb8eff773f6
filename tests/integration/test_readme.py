"""The commands of the README and of the documents exist, and the README's Python runs."""

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from edgesim.models.repository import Model
from edgesim.server import config_yaml
from tests.integration.conftest import edgesim

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for text in DOCUMENTS for block in blocks("sh", text) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


@cache
def usage_of(*command: str) -> str:
    return edgesim(*command, "--help").stdout


@pytest.mark.parametrize("command", [words for words in commands() if words[0] == "edgesim"], ids=" ".join)
def test_every_option_of_every_edgesim_command_in_the_readme_exists(command: list[str]) -> None:
    depth = 3 if command[1] in ("baseline", "models", "profiles", "stack", "volumes") else 2
    usage = usage_of(*command[1:depth])
    assert "Usage" in usage
    for word in command:
        if word.startswith("-"):
            assert word in usage


@pytest.mark.parametrize("command", [words for words in commands() if words[0] == "make"], ids=" ".join)
def test_every_make_target_in_the_readme_exists(command: list[str]) -> None:
    done = subprocess.run(["make", "-n", *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.emulation
def test_the_python_of_the_readme_runs(digits: Model, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(code.replace('"my-models"', repr(str(digits.path.parents[2]))), {})
    accuracy_and_memory, url = capsys.readouterr().out.splitlines()
    assert float(accuracy_and_memory.split()[0]) >= 0.95
    assert url.startswith("http://127.0.0.1:")


def test_the_configuration_in_the_document_of_the_server_is_understood() -> None:
    example = blocks("yaml", (ROOT / "docs" / "server.md").read_text())[0]
    understood = config_yaml.from_yaml(example, source="config.yaml")
    assert understood.max_batch_size == 16
    assert all(f"{name}:" in example for name in config_yaml.FIELDS)
