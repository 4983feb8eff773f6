"""The warnings in an engine's answer when it makes a container."""

import json
from types import SimpleNamespace
from typing import Any, cast

import docker

from edgesim.engine import create_warnings

# As Docker answers where the controller for CPU time is not delegated (moby: daemon/daemon_unix.go).
QUOTA = "Your kernel does not support CPU CFS quota or the cgroup is not mounted. Quota discarded."


def answer(url: str, warnings: list[str] | None) -> Any:
    body = json.dumps({"Id": "1", "Warnings": warnings}).encode()
    return SimpleNamespace(status_code=201, url=url, content=body)


def test_warnings_are_collected_while_containers_are_made_and_not_later() -> None:
    hooks: dict[str, list[Any]] = {"response": []}
    client = cast("docker.DockerClient", SimpleNamespace(api=SimpleNamespace(hooks=hooks)))
    with create_warnings.collected(client) as warnings:
        (read,) = hooks["response"]
        read(answer("http+docker://localhost/v1.45/containers/create?name=a", [QUOTA, ""]))
        read(answer("http+docker://localhost/v1.45/containers/create", None))
        read(answer("http+docker://localhost/v1.45/volumes/create", ["of a volume"]))
    assert warnings == [QUOTA]
    assert hooks["response"] == []


def test_warning_of_several_lines_becomes_one() -> None:
    assert create_warnings.of_answer(b'{"Id": "1", "Warnings": ["no swap:\\n  unlimited"]}') == ["no swap: unlimited"]
