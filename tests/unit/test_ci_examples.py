"""The examples for CI: they are YAML of their system's shape, and edgesim takes every command in them."""

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from edgesim.cli.main import app
from edgesim.results.run_result import RunResult
from tests.support.command_line import exit_code_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "ci"
WHERE = {"EDGESIM": "./edgesim"}
VALUES = {"PROFILE": "jetson-nano", "MODEL": "models/detector.onnx"}


def document(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((EXAMPLES / name).read_text())


def lines(name: str) -> list[str]:
    """What the example has a shell do, line by line."""
    example = document(name)
    if name == "gitlab.yml":
        return [*example["edgesim"]["script"], *example["edgesim"]["after_script"]]
    return [line for step in example["jobs"]["edge"]["steps"] for line in step.get("run", "").splitlines()]


def commands(name: str) -> Iterator[list[str]]:
    """The edgesim commands in it, as the shell hands them over."""
    for line in lines(name):
        for part in re.split(r"&&|\|\||;", line):
            words = shlex.split(part, comments=True)
            if words and Path(words[0]).name == "edgesim":
                yield [substituted(word, VALUES) for word in words[1:]]


def substituted(word: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]], word)


CASES = [(path.name, command) for path in sorted(EXAMPLES.glob("*.yml")) for command in commands(path.name)]


def test_there_is_an_example_of_each_system_and_each_runs_judges_and_reports() -> None:
    for name in ("github.yml", "gitlab.yml"):
        assert {"run", "gate", "report"} <= {command[0] for file, command in CASES if file == name}


@pytest.mark.parametrize(("name", "command"), CASES, ids=lambda case: case if isinstance(case, str) else " ".join(case))
def test_every_command_in_the_examples_is_taken_by_the_command_line(name: str, command: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    context = group.make_context("edgesim", list(command))
    _, subcommand, rest = group.resolve_command(context, list(command))
    # Parsed and checked as it would be, and not run.
    subcommand.make_context(command[0], rest, parent=context)


def test_a_command_line_that_is_wrong_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        test_every_command_in_the_examples_is_taken_by_the_command_line("", ["gate", "result.json", "--junitt", "x"])


def test_the_workflow_for_github_can_be_called_with_a_profile_and_a_model() -> None:
    workflow = document("github.yml")
    inputs = workflow["on"]["workflow_call"]["inputs"]
    assert set(inputs) == {"profile", "model"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
        # What a caller hands over comes in as a variable, and is never taken for a part of a shell's line.
        assert not any("${{" in step.get("run", "") for step in job["steps"])
        assert {name: f"${{{{ inputs.{name.lower()} }}}}" for name in VALUES} | WHERE == job["env"]


def test_the_job_for_gitlab_keeps_what_the_commands_write() -> None:
    job = document("gitlab.yml")["edgesim"]
    written = {
        word
        for _, command in CASES
        for before, word in itertools.pairwise(command)
        if before in ("-o", "--markdown", "--junit")
    }
    assert written == {*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]}
    assert set(job["variables"]) == {*VALUES, *WHERE}


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_what_follows_the_run_works_on_its_result_and_ends_in_the_verdict(
    name: str, result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    result.write(Path("result.json"))
    Path("edgesim-gate.yaml").write_text("rules: [memory_peak_bytes <= 1MiB]\n")
    codes = {command[0]: exit_code_of(command) for command in commands(name) if command[0] != "run"}
    assert codes == {"report": 0, "gate": 1}
    assert {"report.html", "gate.xml"} <= {path.name for path in Path().iterdir()}
