"""Links in a git repository come with a pull request: none that leads out of the repository is followed."""

import os
import subprocess
from pathlib import Path

import pytest

from edgesim.errors import ModelError
from edgesim.models import repository
from tests.support import weights


def git(directory: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(directory), *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a git repository beside a model of the host's, ``host/net/1/model.onnx``."""
    weights.write_with_weights(tmp_path / "host" / "net" / "1" / "model.onnx")
    directory = tmp_path / "checkout"
    (directory / "models" / "net" / "1").mkdir(parents=True)
    git(directory, "init", "-q")
    return directory


def link(checkout: Path, name: str, target: Path) -> None:
    """Make a relative symbolic link in the checkout, which replaces an empty directory."""
    path = checkout / name
    if path.is_dir():
        path.rmdir()
    path.symlink_to(os.path.relpath(target, path.parent))


FILE = "models/net/1/model.onnx"
OF_HOST = {
    FILE: Path("host/net/1/model.onnx"),
    "models/net/1": Path("host/net/1"),
    "models/net": Path("host/net"),
    "models": Path("host"),
}


@pytest.mark.parametrize("name", OF_HOST)
def test_model_that_a_link_in_git_takes_from_outside_the_repository_is_refused(checkout: Path, name: str) -> None:
    if name in ("models/net", "models"):
        (checkout / "models" / "net" / "1").rmdir()
    if name == "models":
        (checkout / "models" / "net").rmdir()
    link(checkout, name, checkout.parent / OF_HOST[name])
    git(checkout, "add", "--all")
    for reference, models in (("net", checkout / "models"), (checkout / FILE, None)):
        with pytest.raises(ModelError, match="in a git repository that leads out of the repository") as caught:
            repository.find(reference, models)
        assert str(checkout.parent / "host" / "net" / "1" / "model.onnx") in (caught.value.fix or "")


def test_link_that_is_not_in_git_is_followed_as_that_of_a_build_is(checkout: Path) -> None:
    link(checkout, "models/net/1", checkout.parent / "host" / "net" / "1")
    (checkout / ".gitignore").write_text("models\n")
    git(checkout, "add", "--all")
    assert repository.find("net", checkout / "models").data_paths


def test_link_in_git_that_stays_in_the_repository_is_followed(checkout: Path) -> None:
    weights.write_with_weights(checkout / "trained" / "model.onnx")
    link(checkout, "models/net/1", checkout / "trained")
    git(checkout, "add", "--all")
    assert repository.find(checkout / FILE).data_paths


def test_without_git_a_link_out_of_a_git_repository_is_not_trusted(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(checkout, "models/net/1", checkout.parent / "host" / "net" / "1")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelError, match="leads out of the repository"):
        repository.find(checkout / FILE)


@pytest.mark.parametrize("name", ["samples.npz", "inputs.yaml", "model.inputs.yaml"])
def test_inputs_that_a_link_takes_from_outside_the_models_directory_are_refused(tmp_path: Path, name: str) -> None:
    weights.write_with_weights(tmp_path / FILE)
    (tmp_path / "private").write_text("secret: of this host\n")
    (tmp_path / "models" / "net" / name).symlink_to(tmp_path / "private")
    with pytest.raises(ModelError, match=r"a symbolic link to .*private, which is not the model's") as caught:
        repository.find("net", tmp_path / "models")
    assert "secret" not in str(caught.value)
