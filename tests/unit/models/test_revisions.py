"""The sides of a comparison: models, directories and git revisions of the model repository."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from edgesim.errors import EdgesimError, HostError
from edgesim.models.revisions import sides
from tests.conftest import write_model


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(directory), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a git repository: ``models/net`` is Relu at v1 and Tanh at v2, and ``models/other`` exists since v2."""
    monkeypatch.chdir(tmp_path)
    git(tmp_path, "init", "-q")
    write_model(tmp_path / "models" / "net" / "1" / "model.onnx")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    write_model(tmp_path / "models" / "net" / "1" / "model.onnx", operation="Tanh")
    write_model(tmp_path / "models" / "other" / "1" / "model.onnx", operation="Sigmoid")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "two")
    git(tmp_path, "tag", "v2")
    return tmp_path


def operations(base: str, candidate: str, *, name: str | None = None, models: Path | None = None) -> list[str]:
    with sides(base, candidate, name=name, models=models) as both:
        return [next(iter(side.operations)) for side in both]


def test_a_revision_is_the_earlier_model_and_its_files_are_removed(repository: Path) -> None:
    with sides("v1", "net") as (base, candidate):
        assert (base.name, candidate.name) == ("net", "net")
        assert base.operations["Relu"] == 1
        assert candidate.operations["Tanh"] == 1
        assert base.path.is_file()
        extracted = base.path
    assert not extracted.exists()
    assert not list(Path(tempfile.gettempdir()).glob("edgesim-revision-*"))


def test_a_reference_may_name_the_model_in_several_ways(repository: Path) -> None:
    assert operations("v1", "v2", name="net") == ["Relu", "Tanh"]
    assert operations("v1:net", "v2:other") == ["Relu", "Sigmoid"]
    assert operations("v2:net", "v2") == ["Tanh", "Tanh"]
    assert operations("HEAD~1", "models/net") == ["Relu", "Tanh"]
    assert operations("models/net/1/model.onnx", "other") == ["Tanh", "Sigmoid"]
    assert operations("models", "v1", name="net") == ["Tanh", "Relu"]
    assert operations("v2", "models/other") == ["Sigmoid", "Sigmoid"]
    assert operations("v2", "models/other/1/model.onnx") == ["Sigmoid", "Sigmoid"]


def test_a_model_repository_may_be_the_top_of_a_git_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write_model(tmp_path / "net" / "1" / "model.onnx")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    assert operations("HEAD", "net", models=tmp_path) == ["Relu", "Relu"]


@pytest.mark.parametrize(
    ("base", "candidate", "problem"),
    [
        ("v9", "net", "v9: not a model's name"),
        ("--output=x", "net", "not a model's name"),
        ("v1:nix", "net", "models at v1: no model 'nix'; it has net"),
        ("v2", "v2", "models at v2: contains several models: net, other"),
        ("models", "models", "models: contains several models: net, other"),
        ("nowhere.onnx", "net", "nowhere.onnx: no such model file"),
        ("v0", "net", "models at v0: contains no model"),
        ("lfs", "net", "net/1/model.onnx is a pointer of git-lfs"),
        ("empty", "net", "empty: no model 'net'; it has none"),
    ],
)
def test_a_reference_that_names_no_model_is_refused(repository: Path, base: str, candidate: str, problem: str) -> None:
    (repository / "empty").mkdir()
    git(repository, "checkout", "-q", "--orphan", "nothing")
    git(repository, "rm", "-rqf", ".")
    (repository / "README").write_text("no models yet")
    git(repository, "add", "README")
    git(repository, "commit", "-qm", "zero")
    git(repository, "tag", "v0")
    pointer = repository / "models" / "net" / "1" / "model.onnx"
    pointer.parent.mkdir(parents=True)
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    git(repository, "add", "models")
    git(repository, "commit", "-qm", "pointers")
    git(repository, "tag", "lfs")
    git(repository, "checkout", "-q", "v2")
    with pytest.raises(EdgesimError) as caught:
        operations(base, candidate)
    assert problem in caught.value.problem
    assert caught.value.exit_code == 2


def test_outside_git_there_are_no_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write_model(tmp_path / "models" / "net" / "1" / "model.onnx")
    with pytest.raises(EdgesimError) as caught:
        operations("v1", "net")
    assert "in no git repository" in caught.value.fix


def test_a_revision_without_git_is_a_host_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(HostError, match="git is not installed"):
        operations("v1", "net")
