"""The action for GitHub and the hook for pre-commit: their scripts run, with programs that note how they are called."""

import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from edgesim.cli import _commands
from tests.support.pages import DOCS, ROOT, blocks

ACTION: Any = YAML(typ="safe", pure=True).load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
RULES = "latency_ms.p50: +5 %\n\nartifact_bytes: +10 %\n"


class Job:
    """A job of GitHub in a directory of its own: what the steps write, and what they call."""

    def __init__(self, directory: Path, gate_code: int = 0, images: str = "edgesim/one:1") -> None:
        self.directory = directory
        self.outputs = directory / "output"
        self.calls = directory / "calls"
        programs = directory / "programs"
        programs.mkdir()
        for name, words in {
            "edgesim": f'[ "$1" != gate ] || {{ echo gate > edgesim-gate/gate.md; exit {gate_code}; }}',
            "docker": f'[ "$1" != image ] || printf "%s\\n" {images}\n[ "$1" != save ] || touch edgesim-images.tar',
            "gh": "exit 1",
        }.items():
            program = programs / name
            program.write_text(
                f'#!/bin/sh\nprintf "%s|" {name} "$@" >> "{self.calls}"; echo >> "{self.calls}"\n{words}\n'
            )
            program.chmod(0o755)

    def run(self, step: str, **variables: str) -> int:
        """Run a step's script as GitHub does, and return its exit code."""
        environment = {
            "PATH": f"{self.directory / 'programs'}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(self.outputs),
            "GITHUB_BASE_REF": "main",
            "GITHUB_REPOSITORY": "someone/models",
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]]
        done = subprocess.run(command, cwd=self.directory, env=environment | variables, check=False)
        return done.returncode

    def called(self) -> list[list[str]]:
        return [line.split("|")[:-1] for line in self.calls.read_text().splitlines()]


def gated(job: Job, **variables: str) -> dict[str, str]:
    words = {"PROFILE": "jetson-nano", "MODEL": "detector", "BASE": "", "CAND": "HEAD", "RULES": RULES, "OPTIONS": ""}
    assert job.run("Gate", **words | variables) == 0
    return dict(line.split("=") for line in job.outputs.read_text().splitlines())


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "PASS"), (1, "FAIL"), (5, "INVALID"), (6, "INCONCLUSIVE"), (3, "ERROR")]
)
def test_action_ends_with_the_verdict_after_it_has_kept_everything(code: int, verdict: str, tmp_path: Path) -> None:
    job = Job(tmp_path, gate_code=code)
    outputs = gated(job)
    assert outputs == {"verdict": verdict, "exit-code": str(code)}
    assert job.run("Verdict", CODE=outputs["exit-code"]) == code


def test_action_compares_with_the_branch_of_the_pull_request_by_each_rule(tmp_path: Path) -> None:
    job = Job(tmp_path)
    gated(job, OPTIONS="--inconclusive-ok --max-rounds 20")
    (call,) = job.called()
    assert call[1:6] == ["gate", "--base", "origin/main", "--cand", "HEAD"]
    assert [word for before, word in pairwise(call) if before == "--rule"] == [
        "latency_ms.p50: +5 %",
        "artifact_bytes: +10 %",
    ]
    command = _commands.load("gate")
    with command.make_context("gate", call[2:]) as context:  # the command line takes all of it
        assert isinstance(command, typer.core.TyperCommand)
        assert context.params["cand"] == "HEAD"


def test_action_saves_images_once_and_saves_nothing_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    job = Job(tmp_path / "some")
    assert [job.run("Keep the images"), job.run("Keep the images"), job.run("Load the images")] == [0, 0, 0]
    assert [call[1] for call in job.called()] == ["image", "save", "load"]
    (tmp_path / "none").mkdir()
    empty = Job(tmp_path / "none", images="")
    assert empty.run("Keep the images") == 0
    assert [call[1] for call in empty.called()] == ["image"]


def test_action_goes_on_where_the_token_may_not_comment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = Job(tmp_path)
    gated(job)
    assert job.run("Comment", NUMBER="7", GH_TOKEN="t") == 0
    assert job.called()[-1][:4] == ["gh", "pr", "comment", "7"]
    assert "::warning::" in capfd.readouterr().out


def test_nothing_that_a_caller_gives_is_a_part_of_a_shells_line() -> None:
    for step in STEPS.values():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
    used = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text()))
    assert used == set(ACTION["inputs"])


def test_hook_calls_a_command_with_options_that_it_has() -> None:
    (hook,) = YAML(typ="safe", pure=True).load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, name = hook["entry"].split()
    assert program == "edgesim"
    (example,) = (text for text in blocks(DOCS / "tasks" / "ci.md", "yaml") if "repos:" in text)
    ((entry,),) = [repo["hooks"] for repo in YAML(typ="safe", pure=True).load(example)["repos"]]
    assert entry["id"] == hook["id"]
    command = _commands.load(name)
    with command.make_context(name, [*entry["args"], "model.onnx"]) as context:
        assert context.params["models"] == ["model.onnx"]
    assert re.search(hook["files"], "models/detector/1/model.onnx")
