"""The commands of the README and of the documents exist, and their Python runs."""

import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from typer.core import TyperGroup

from edgesim.cli import _commands
from edgesim.models.repository import Model
from tests.support.command_line import edgesim_here
from tests.support.pages import DOCS, PAGES, ROOT, blocks

pytest_plugins = ["pytester"]

# Beside the tests that use the engine: the runs of documents look for nothing that others leave on it.
BESIDE = pytest.mark.xdist_group("documents")

README = ROOT / "README.md"
PYTEST = DOCS / "tasks" / "pytest.md"
PYTHON = DOCS / "tasks" / "python.md"


def commands(program: str) -> list[list[str]]:
    """Return the command lines of a program in all documents, each once."""
    lines = [line for document in PAGES for block in blocks(document, "sh") for line in joined(block)]
    commands = (shlex.split(line, comments=True) for line in dict.fromkeys(lines))
    return [words for words in commands if words and words[0] == program]


def joined(block: str) -> list[str]:
    """Return the lines of a block, one that ends with a backslash with the line after it."""
    return block.replace("\\\n", " ").splitlines()


@cache
def is_group(name: str) -> bool:
    """Return whether a command has commands of its own."""
    return isinstance(_commands.load(name), TyperGroup)


@cache
def usage_of(*command: str) -> str:
    return edgesim_here(*command, "--help").stdout


@pytest.mark.parametrize("command", commands("edgesim"), ids=" ".join)
def test_every_option_of_every_edgesim_command_in_the_documents_exists(command: list[str]) -> None:
    depth = 1 if command[1].startswith("-") else 3 if is_group(command[1]) else 2
    usage = usage_of(*command[1:depth])
    assert "Usage" in usage
    for word in command:
        if word.startswith("-"):
            assert word in usage


def test_every_key_of_the_configuration_in_the_document_is_an_option() -> None:
    (text,) = blocks(DOCS / "reference" / "configuration.md", "toml")
    tables = tomllib.loads(text)
    common = {key for key, value in tables.items() if not isinstance(value, dict)}
    assert all(f"--{key}" in usage_of("run") for key in common)
    for name in tables.keys() - common:
        for key, value in tables[name].items():
            command, keys = ([name, key], value) if isinstance(value, dict) else ([name], [key])
            assert all(f"--{option}" in usage_of(*command) for option in keys)


@pytest.mark.parametrize("command", commands("make"), ids=" ".join)
def test_every_make_target_in_the_documents_exists(command: list[str]) -> None:
    done = subprocess.run(["make", "-n", *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@BESIDE
@pytest.mark.emulation
def test_the_python_of_the_readme_runs(digits: Model, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks(README, "python")
    exec(code, {})
    device_time_ms, _ = capsys.readouterr().out.split()
    assert float(device_time_ms) > 0


@BESIDE
@pytest.mark.emulation
def test_the_python_of_the_document_runs_from_its_top_to_its_end(
    digits: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # one block writes result.json, another one reads it
    Path("my-models").symlink_to(digits.path.parents[2])
    exec("\n".join(blocks(PYTHON, "python")), {})
    accuracy_and_memory, url = capsys.readouterr().out.splitlines()
    assert float(accuracy_and_memory.split()[0]) >= 0.95
    assert url.startswith("http://127.0.0.1:")


@BESIDE
@pytest.mark.emulation
def test_the_tests_of_the_document_of_pytest_pass(digits: Model, pytester: pytest.Pytester) -> None:
    (code,) = blocks(PYTEST, "python")
    detector = pytester.mkdir("my-models") / "detector"
    detector.symlink_to(digits.path.parents[1])
    pytester.makepyfile(code)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "0")
    done.assert_outcomes(passed=code.count("def test_"))
