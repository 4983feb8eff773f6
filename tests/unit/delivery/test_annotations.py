"""What is published says where it is from, and nothing that is secret."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edgesim.delivery import annotations
from edgesim.errors import UsageError
from edgesim.models.repository import Model
from edgesim.registry.documents import CREATED, LICENSES, REVISION, SOURCE
from tests.support import input_models


@pytest.fixture
def model(tmp_path: Path) -> Model:
    path = tmp_path / "project" / "model.onnx"
    path.parent.mkdir()
    return input_models.model_with(path, {"x": (1, [1, 4])})


def git(model: Model, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
    return subprocess.check_output(command, cwd=model.path.parent, text=True).strip()


def commit(model: Model, origin: str | None = None) -> str:
    """Commit the model's directory; return the commit's name."""
    git(model, "init", "-q")
    git(model, "add", ".")
    git(model, "commit", "-q", "-m", "model")
    if origin is not None:
        git(model, "remote", "add", "origin", origin)
    return git(model, "rev-parse", "HEAD")


def test_model_outside_of_git_has_the_users_annotations_alone(model: Model) -> None:
    assert annotations.of_model(model, {}) == {}
    assert annotations.of_model(model, {LICENSES: "MIT"}) == {LICENSES: "MIT"}


def test_committed_model_has_revision_source_and_time_of_the_commit(model: Model) -> None:
    name = commit(model, "https://git.example.org/shop/detector.git")
    noted = annotations.of_model(model, {})
    assert (noted[REVISION], noted[SOURCE]) == (name, "https://git.example.org/shop/detector.git")
    assert noted[CREATED] == git(model, "log", "-1", "--format=%cI")


def test_changed_model_has_no_revision(model: Model) -> None:
    commit(model)
    (model.path.parent / "notes.txt").write_text("not committed")
    assert annotations.of_model(model, {}) == {}


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("https://cook:s3cret@git.example.org/a.git", "https://git.example.org/a.git"),
        ("https://git.example.org/a.git?token=s3cret#s3cret", "https://git.example.org/a.git"),
        ("git@git.example.org:shop/a.git", "ssh://git.example.org/shop/a.git"),
        ("ssh://git@git.example.org:2222/a.git", "ssh://git.example.org:2222/a.git"),
        ("/srv/git/a.git", None),
        ("file:///srv/git/a.git", None),
    ],
)
def test_source_has_no_account_and_no_path_of_this_host(model: Model, origin: str, source: str | None) -> None:
    commit(model, origin)
    assert annotations.of_model(model, {}).get(SOURCE) == source


def test_licence_that_the_model_states_is_an_annotation_that_the_user_can_replace(model: Model) -> None:
    licensed = replace(model, metadata={"model_license": "Apache-2.0"})
    assert annotations.of_model(licensed, {}) == {LICENSES: "Apache-2.0"}
    assert annotations.of_model(licensed, {LICENSES: "MIT"}) == {LICENSES: "MIT"}


@pytest.mark.parametrize("words", [{"Not A Name": "a"}, {"": "a"}, {"a.b": "two\nlines"}, {"a.b": "x" * 5000}])
def test_wrong_annotation_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="`annotations`: "):
        annotations.parse(words)
