"""The list of commands, their help, their completion, and how quickly they start."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import edgesim.cli
from edgesim.cli import _commands, main

COMMAND = [sys.executable, "-m", "edgesim.cli"]


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name; those of a group after it."""
    for entry in _commands.COMMANDS:
        command = _commands.load(entry.name)
        yield entry.name, command
        for name, inner in getattr(command, "commands", {}).items():
            yield f"{entry.name} {name}", inner


COMMANDS = dict(commands())
LEAVES = {name: command for name, command in COMMANDS.items() if not hasattr(command, "commands")}


def test_every_module_of_a_command_is_in_the_list() -> None:
    modules = {path.stem for path in Path(inspect.getfile(edgesim.cli)).parent.glob("[a-z]*.py")}
    assert {entry.name for entry in _commands.COMMANDS} == modules - {"main"}


@pytest.mark.parametrize("entry", _commands.COMMANDS, ids=lambda entry: entry.name)
def test_the_list_says_of_a_command_what_the_command_says_of_itself(entry: _commands.Entry) -> None:
    assert entry.help == COMMANDS[entry.name].help.partition("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize("name", LEAVES)
def test_the_examples_in_the_help_are_taken_by_the_command_line(name: str) -> None:
    examples = LEAVES[name].examples
    assert examples
    for example in examples:
        program, *words = shlex.split(example.partition(" >")[0])
        assert program == "edgesim"
        context = typer.main.get_command(main.app).make_context("edgesim", list(words))
        command, rest = _commands.load(words[0]), words[1:]
        if hasattr(command, "commands"):
            command, rest = command.commands[words[1]], words[2:]
        assert command.make_context(name, rest, parent=context).params is not None


@pytest.mark.parametrize("name", LEAVES)
def test_no_help_loses_its_asterisks_as_emphasis(name: str) -> None:
    texts = [LEAVES[name].help, *(parameter.help for parameter in LEAVES[name].params if hasattr(parameter, "help"))]
    for text in filter(None, texts):
        outside_code = re.sub(r"`[^`]*`", "", text)
        assert outside_code.count("*") < 2, f"put the pattern in backticks: {text}"


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_has_a_sentence(name: str) -> None:
    for parameter in LEAVES[name].params:
        assert parameter.help, parameter.name
        assert parameter.help.rstrip().endswith((".", "].", "]")), parameter.help


def test_help_groups_the_commands_in_the_order_in_which_people_meet_them() -> None:
    shown = subprocess.run([*COMMAND, "-h"], capture_output=True, text=True, check=True).stdout
    places = [shown.index(f"│ {entry.name} ") for entry in _commands.COMMANDS]
    assert places == sorted(places)
    assert "<bool>" not in shown
    assert shown.index("─ Maintenance ") < shown.index("│ doctor ")


def test_help_of_run_is_in_panels_and_ends_with_examples() -> None:
    shown = subprocess.run([*COMMAND, "run", "-h"], capture_output=True, text=True, check=True).stdout
    panels = [shown.index(f"╭─ {panel} ") for panel in ("Traffic", "Inputs", "Board", "Image", "Output")]
    assert panels == sorted(panels)
    examples = shown[shown.rindex("Examples:") :].split("\n", 1)[1]
    assert examples.splitlines()[0].strip() == "edgesim run jetson-nano digits"
    assert all(line.strip().startswith("edgesim run ") for line in examples.rstrip().splitlines())


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], ("numpy", "pydantic", "rich", "docker", "onnx")),
        (["--help"], ("numpy", "docker", "onnx", "edgesim.options")),
        (["report", "--help"], ("docker", "onnx", "sklearn")),
        (["predict", "--help"], ("docker", "sklearn")),
    ],
)
def test_a_command_imports_nothing_that_only_others_need(arguments: list[str], absent: tuple[str, ...]) -> None:
    script = (
        "import sys; from edgesim.cli.main import main\n"
        f"sys.argv = ['edgesim', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stderr.split()).isdisjoint(absent)


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("edgesim r", {"run", "report", "recommend", "replay"}),
        ("edgesim profiles sh", {"show"}),
        ("edgesim gate --ba", {"--base", "--base-image", "--base-runtime", "--baseline"}),
        ("edgesim run raspberry-pi-z", {"raspberry-pi-zero-2"}),
        ("edgesim run jetson-nano dig", {"digits"}),
        ("edgesim run jetson-nano digits --execution s", {"scaled", "same-architecture"}),
    ],
)
def test_bash_completes_commands_options_profiles_models_and_choices(words: str, completed: set[str]) -> None:
    environment = os.environ | {
        "_EDGESIM_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == completed


def test_completion_installs_itself_for_bash_in_an_empty_home(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [*COMMAND, "--install-completion", "bash"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "_edgesim_completion" in (tmp_path / ".bash_completions" / "edgesim.sh").read_text()
    assert "edgesim.sh" in (tmp_path / ".bashrc").read_text()
