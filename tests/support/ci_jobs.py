"""The jobs of the examples for CI as their systems run them: the lines of a shell, their order, and the variables."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

EXAMPLES = Path(__file__).parents[2] / "examples" / "ci"
# What the systems set themselves, of what the examples use.
SYSTEM = {
    "github": {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_BASE_REF": "main"},
    "gitlab": {"GITLAB_CI": "true", "CI": "true"},
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of an example.

    Attributes:
        file: the example's file name.
        steps: what a shell of its own runs, one after the other, as GitHub's steps; a job of GitLab is one shell, and
            a second one for its after_script.
        variables: of the job, `inputs` of a workflow that is called filled in.
    """

    file: str
    name: str
    steps: Sequence[str]
    variables: Mapping[str, str]

    @property
    def system(self) -> str:
        return self.file.partition(".")[0].partition("-")[0]


def document(file: str) -> Any:
    return YAML(typ="safe", pure=True).load((EXAMPLES / file).read_text())


def jobs(file: str, inputs: Mapping[str, str]) -> list[Job]:
    """Return the jobs of an example.

    Args:
        inputs: what a caller of the workflow gives; other inputs have their default.
    """
    example = document(file)
    return _gitlab(file, example) if file.startswith("gitlab") else _github(file, example, inputs)


def _github(file: str, example: Any, inputs: Mapping[str, str]) -> list[Job]:
    called = (example["on"].get("workflow_call") or {}).get("inputs", {})
    values = {name: inputs.get(name, facts.get("default", "")) for name, facts in called.items()}

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: values[match[1]], text)

    return [
        Job(
            file=file,
            name=name,
            steps=[step["run"] for step in job["steps"] if "run" in step],
            variables={key: filled(value) for key, value in job["env"].items()},
        )
        for name, job in example["jobs"].items()
    ]


def _gitlab(file: str, example: Any) -> list[Job]:
    found = []
    for name, own in example.items():
        if name.startswith("."):
            continue
        template = example[own["extends"]]
        lines = [*template.get("before_script", []), *own["script"]]
        found.append(
            Job(
                file=file,
                name=name,
                steps=["\n".join(lines), *own.get("after_script", [])],
                variables={k: str(v) for k, v in (template["variables"] | own.get("variables", {})).items()},
            )
        )
    return found
