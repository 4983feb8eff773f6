"""The examples for CI: they are YAML of their system's shape, and edgesim takes every command in them.

`tests/long/test_ci_examples.py` runs them.
"""

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from edgesim.cli.main import app
from edgesim.gates.rules import Rules
from edgesim.results.run_result import RunResult
from tests.support.ci_jobs import EXAMPLES, SYSTEM, Job, document, jobs
from tests.support.command_line import exit_code_of

INPUTS = {"profile": "jetson-nano", "model": "detector"}
JOBS = [job for path in sorted(EXAMPLES.glob("*.yml")) for job in jobs(path.name, INPUTS)]
COMMIT = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "0123456789abcdef"}


def commands(job: Job) -> Iterator[list[str]]:
    """The edgesim commands in it, as the shell hands them over; not `edgesim --version`, which is no command."""
    values = {**job.variables, **SYSTEM[job.system], **COMMIT}
    for line in "\n".join(job.steps).splitlines():
        for part in re.split(r"&&|\|\||;|\$\(|\|", line):
            if not re.match(r"\s*(?:\S*/)?edgesim [^-]", part):
                continue
            yield [substituted(word, values) for word in shlex.split(part, comments=True)[1:]]


def substituted(word: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]], word)


CASES = [(job, command) for job in JOBS for command in commands(job)]


def test_there_is_an_example_of_each_system_and_each_runs_judges_reports_and_compares_revisions() -> None:
    for system in SYSTEM:
        used = [command for job, command in CASES if job.system == system]
        assert {"run", "gate", "report"} <= {command[0] for command in used}
        assert any("--base" in command and "--cand" in command for command in used)


@pytest.mark.parametrize(
    ("job", "command"), CASES, ids=lambda case: case.file if isinstance(case, Job) else " ".join(case)
)
def test_every_command_in_the_examples_is_taken_by_the_command_line(job: Job, command: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    context = group.make_context("edgesim", list(command))
    _, subcommand, rest = group.resolve_command(context, list(command))
    # Parsed and checked as it would be, and not run.
    subcommand.make_context(command[0], rest, parent=context)


def test_a_command_line_that_is_wrong_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        test_every_command_in_the_examples_is_taken_by_the_command_line(
            JOBS[0], ["gate", "result.json", "--junitt", "x"]
        )


def test_the_workflow_for_github_can_be_called_with_a_profile_and_a_model() -> None:
    workflow = document("github.yml")
    inputs = workflow["on"]["workflow_call"]["inputs"]
    assert {name for name, facts in inputs.items() if facts.get("required")} == set(INPUTS)
    (job,) = workflow["jobs"].values()
    assert {name.upper(): f"${{{{ inputs.{name} }}}}" for name in inputs} == job["env"]


@pytest.mark.parametrize("name", ["github.yml", "github-pull-request.yml"])
def test_what_a_caller_hands_over_is_never_a_part_of_a_shells_line(name: str) -> None:
    for job in document(name)["jobs"].values():
        assert job["runs-on"]
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
        assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_a_comparison_of_revisions_has_both_in_its_checkout() -> None:
    (job,) = document("github-pull-request.yml")["jobs"].values()
    checkout = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout"))
    assert checkout["with"]["fetch-depth"] == 0
    for file in ("gitlab.yml", "gitlab-docker.yml"):
        assert document(file)["edgesim-merge-request"]["variables"]["GIT_DEPTH"] == 0


def test_the_jobs_keep_what_the_commands_write() -> None:
    for job in JOBS:
        written = {
            word
            for of, command in CASES
            if of is job
            for before, word in itertools.pairwise(command)
            if before in ("-o", "--markdown", "--junit")
        }
        kept = document(job.file)
        if job.system == "gitlab":
            artifacts = kept[job.name]["artifacts"]
            paths = {*artifacts["paths"], artifacts["reports"]["junit"]}
        else:
            steps = kept["jobs"][job.name]["steps"]
            (upload,) = (step for step in steps if step.get("uses", "").startswith("actions/upload-artifact"))
            paths = set(upload["with"]["path"].split())
        assert {path.rstrip("/") for path in paths} == written


def test_the_rules_of_the_example_are_valid() -> None:
    rules = Rules.read(EXAMPLES / "edgesim-gate.yaml")
    assert list(rules.by_profile) == ["jetson-nano"]


@pytest.mark.parametrize(
    ("file", "name"), [("github.yml", "edge"), ("gitlab.yml", "edgesim"), ("gitlab-docker.yml", "edgesim")]
)
def test_what_follows_the_run_works_on_its_result_and_ends_in_the_verdict(
    file: str, name: str, result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    result.write(Path("result.json"))
    Path("edgesim-gate.yaml").write_text("rules: [memory_peak_bytes <= 1MiB]\n")
    (job,) = (job for job in JOBS if (job.file, job.name) == (file, name))
    codes = {command[0]: exit_code_of(command) for command in commands(job) if command[0] in ("gate", "report")}
    assert codes == {"report": 0, "gate": 1}
    assert {"report.html", "gate.xml"} <= {path.name for path in Path().iterdir()}
