"""What a build of one of edgesim's images hands to the docker command."""

from pathlib import Path
from typing import Any, cast

import pytest

from edgesim.engine import buildx
from edgesim.engine.docker_engine import Engine
from edgesim.images.recipe import Recipe
from edgesim.progress import Stages


class _Engine:
    context = None


def test_dockerfile_is_read_from_the_build_context_and_not_from_where_edgesim_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / ".local" / "Dockerfile.board"
    installed.parent.mkdir()
    installed.write_text("FROM scratch\n")
    calls: list[tuple[bool, str]] = []

    def build(*, context: Path, dockerfile: Path, **_: Any) -> None:
        calls.append((dockerfile.parent == context, dockerfile.read_text()))

    monkeypatch.setattr(buildx, "build", build)
    recipe = Recipe(
        reference="edgesim/board:1",
        title="an image",
        architecture="arm64",
        dockerfile=installed,
        arguments={},
        make_stages=lambda: ({}, "base"),
        fill_context=lambda context: (context / "file").touch(),
    )
    recipe.build(cast("Engine", _Engine()), Stages(None), use_cache=True)
    assert calls == [(True, "FROM scratch\n")]
