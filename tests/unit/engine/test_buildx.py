"""The docker command that builds, which must not outlive edgesim."""

import shutil
from typing import Any

import pytest
import python_on_whales

from edgesim.engine import buildx
from edgesim.engine.context import Context


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
