"""The stack of `edgesim notebook`, and the empty notebook that it begins with."""

import json
from pathlib import Path

import pytest

from edgesim.errors import ProfileError, UsageError
from edgesim.stacks.notebook import Desk
from edgesim.stacks.resolve import resolve


def desk(directory: Path, **facts: object) -> Desk:
    return Desk(**{"profile": "jetson-nano", "directory": directory, "file": "board.ipynb"} | facts)  # type: ignore[arg-type] # by name


def test_notebook_stands_beside_a_board_that_serves_what_it_writes(tmp_path: Path) -> None:
    found = resolve(desk(tmp_path, port=8888).stack(), host_cores=4, host_memory_bytes=8 << 30)
    board, notebook = found.services["board"], found.services["notebook"]
    assert list(found.on_board) == ["board"]
    assert board.spec.watch is not None
    assert board.spec.watch.volume == "models"
    work, models = notebook.spec.mounts
    assert (work.bind, work.at, work.writable) == (tmp_path, "/work", True)
    assert (models.volume, models.at, models.writable) == ("models", "/models", True)
    assert (notebook.spec.publish, notebook.spec.token, notebook.spec.user) == (8888, "JUPYTER_TOKEN", "me")
    assert notebook.spec.environment == {"EDGESIM_PROFILE": "jetson-nano"}
    assert notebook.spec.engine


def test_board_beside_the_notebook_has_the_release_that_is_asked_for(tmp_path: Path) -> None:
    found = resolve(desk(tmp_path, runtime="1.16.3").stack(), host_cores=4, host_memory_bytes=8 << 30)
    release = found.services["board"].runtime
    assert release is not None
    assert release.version == "1.16.3"


def test_notebook_has_a_profile_of_ones_own_and_the_users_model_repository(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: jetson-nano\nname: mine\n")
    own = desk(tmp_path, profile=str(tmp_path / "mine.yaml"), models=tmp_path, engine=False).stack()
    notebook = own.services["notebook"]
    assert notebook.environment == {"EDGESIM_PROFILE": "/profile/mine.yaml"}
    assert [(mount.bind, mount.at) for mount in notebook.mounts] == [
        (tmp_path, "/work"),
        (tmp_path, "/models"),
        (tmp_path / "mine.yaml", "/profile/mine.yaml"),
    ]
    assert not notebook.engine


def test_empty_notebook_is_made_once_and_a_file_of_the_users_is_kept(tmp_path: Path) -> None:
    desk(tmp_path).make_file()
    made = tmp_path / "board.ipynb"
    assert json.loads(made.read_text())["nbformat"] == 4
    made.write_text("mine")
    desk(tmp_path).make_file()
    assert made.read_text() == "mine"


@pytest.mark.parametrize("name", ["../board.ipynb", "board.py", "course/board.ipynb"])
def test_file_that_is_no_notebook_in_the_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a notebook"):
        desk(tmp_path, file=name).make_file()


def test_wrong_board_or_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="jetson-nanoo"):
        desk(tmp_path, profile="jetson-nanoo").stack()
    with pytest.raises(UsageError, match="no such directory"):
        desk(tmp_path / "none").make_file()
    with pytest.raises(UsageError, match=r"`models=.*none`: no such directory"):
        desk(tmp_path, models=tmp_path / "none").stack()
