"""The docker command that builds, which must not outlive edgesim."""

import shutil
from typing import Any

import pytest
import python_on_whales

from edgesim.engine import buildx
from edgesim.engine.context import Context
from edgesim.errors import BaseUnavailable, BuildFailed, DiskFull, EdgesimError


@pytest.mark.parametrize("engine", [None, Context(name="tcp://board:2375", url="tcp://board:2375")])
def test_build_ends_with_edgesim_where_the_system_can_see_to_it(
    engine: Context | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    calls: list[list[str]] = []

    class Client:
        def __init__(self, *, client_call: list[str], host: str | None = None) -> None:
            calls.append(client_call)
            self.buildx = self

        def build(self, *_: object, **__: object) -> Any:
            return iter(())

    monkeypatch.setattr(buildx, "version", lambda: "0.13")
    monkeypatch.setattr(python_on_whales, "DockerClient", Client)
    options: dict[str, Any] = {key: {} for key in ("build_contexts", "build_args", "labels")}
    for program in ("/usr/bin/setpriv", None):
        monkeypatch.setattr(shutil, "which", lambda name, program=program: program if name == "setpriv" else None)
        buildx.build(context=tmp_path, dockerfile=tmp_path, tag="a", platform="linux/arm64", engine=engine, **options)
    with_it, without = calls
    assert with_it[:3] == ["setpriv", "--pdeathsig", "TERM"]
    assert "setpriv" not in without
    assert with_it[3:] == without


@pytest.mark.parametrize(
    ("log", "error", "words"),
    [
        (
            "ERROR: failed to solve: team/base:9: failed to resolve source metadata for docker.io/team/base:9: "
            "docker.io/team/base:9: not found",
            BaseUnavailable,
            "the image team/base:9, which the build starts from, cannot be fetched: docker.io/team/base:9: not found",
        ),
        ("write /var/lib: no space left on device", DiskFull, "no space left on the engine's disk"),
        ("ERROR: failed to solve: process did not complete", BuildFailed, "the image could not be built"),
    ],
)
def test_failed_build_is_told_by_its_cause(
    log: str, error: type[EdgesimError], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    class Client:
        def __init__(self, **_: object) -> None:
            self.buildx = self

        def build(self, *_: object, **__: object) -> Any:
            raise python_on_whales.exceptions.DockerException(["docker"], 1, b"", log.encode())

    monkeypatch.setattr(buildx, "version", lambda: "0.13")
    monkeypatch.setattr(python_on_whales, "DockerClient", Client)
    options: dict[str, Any] = {key: {} for key in ("build_contexts", "build_args", "labels")}
    with pytest.raises(error) as caught:
        buildx.build(context=tmp_path, dockerfile=tmp_path, tag="a", platform="linux/arm64", **options)
    assert words in caught.value.problem
