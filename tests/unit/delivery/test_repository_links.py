"""Symbolic links in a model repository: those of a model are delivered, others carry no file of the host off."""

import subprocess
from pathlib import Path

import pytest

from edgesim.delivery import contents, symlinks
from edgesim.engine.mounts import Mount
from edgesim.errors import ModelError
from tests.support import weights
from tests.support.weights import VALUES


def deliveries(directory: Path) -> list[set[Path]]:
    """What a volume or an image would contain, and what would be mounted, as real files."""
    mounts = [Mount(directory, "/models")]
    copied = set(map(Path.resolve, contents.of(mounts, "/models").files.values()))
    return [copied, {mount.source for mount in symlinks.with_targets(mounts)}]


def refused(directory: Path, words: str) -> None:
    mounts = [Mount(directory, "/models")]
    with pytest.raises(ModelError, match=words):
        contents.of(mounts, "/models")
    with pytest.raises(ModelError, match=words):
        symlinks.with_targets(mounts)


def test_models_in_a_store_are_delivered(tmp_path: Path) -> None:
    directory, blobs = tmp_path / "models" / "net" / "1", tmp_path / "cache"
    weights.write_with_weights(blobs / "ab" / ("1" * 30), "w.bin")
    data = blobs / "cd" / ("2" * 30)
    data.parent.mkdir()
    (blobs / "ab" / "w.bin").rename(data)
    directory.mkdir(parents=True)
    (directory / "model.onnx").symlink_to(blobs / "ab" / ("1" * 30))
    (directory / "w.bin").symlink_to(data)
    copied, mounted = deliveries(tmp_path / "models")
    assert copied == {blobs / "ab" / ("1" * 30), data}
    assert mounted == {tmp_path / "models", *copied}


def test_linked_directory_of_a_model_is_delivered(tmp_path: Path) -> None:
    path = weights.write_with_weights(tmp_path / "data" / "net" / "1" / "model.onnx")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net").symlink_to(tmp_path / "data" / "net")
    copied, mounted = deliveries(tmp_path / "models")
    assert copied == {path, path.with_name("w.bin")}
    assert mounted == {tmp_path / "models", tmp_path / "data" / "net"}


def test_linked_directory_of_a_model_is_refused_if_the_link_is_in_git_and_leads_out_of_it(tmp_path: Path) -> None:
    weights.write_with_weights(tmp_path / "data" / "net" / "1" / "model.onnx")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net").symlink_to(tmp_path / "data" / "net")
    for words in (["init", "-q"], ["add", "--all"]):
        subprocess.run(["git", "-C", tmp_path / "models", *words], check=True, capture_output=True)
    refused(tmp_path / "models", "a symbolic link in a git repository that leads out of the repository")


@pytest.mark.parametrize("link", ["net/1/w.bin", "net/1/notes", "net/config.yaml", "readme", "net/1/model.onnx"])
def test_link_to_a_file_of_the_host_is_refused(tmp_path: Path, link: str) -> None:
    weights.write_with_weights(tmp_path / "models" / "net" / "1" / "model.onnx")
    secret = tmp_path / "home" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(VALUES.tobytes())
    (tmp_path / "models" / link).unlink(missing_ok=True)
    (tmp_path / "models" / link).symlink_to(secret)
    refused(tmp_path / "models", "symbolic link out of")


def test_link_named_like_a_model_does_not_open_its_directory_to_others(tmp_path: Path) -> None:
    home, version = tmp_path / "home", tmp_path / "models" / "net" / "1"
    home.mkdir()
    version.mkdir(parents=True)
    for name in ("model.onnx", "secret"):
        (home / name).write_text("text")
        (version / name).symlink_to(home / name)
    refused(tmp_path / "models", "symbolic link out of")


@pytest.mark.parametrize("level", ["net", "net/1", "net/1/sub"])
def test_link_to_a_directory_of_the_host_is_refused(tmp_path: Path, level: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret").write_text("text")
    link = tmp_path / "models" / level
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "home")
    refused(tmp_path / "models", "symbolic link out of")


def test_checkout_with_a_model_at_its_top_is_no_models_directory(tmp_path: Path) -> None:
    weights.write_with_weights(tmp_path / "model.onnx")
    (tmp_path / ".git").mkdir()
    (tmp_path / "models" / "net").mkdir(parents=True)
    (tmp_path / "models" / "net" / "1").symlink_to(tmp_path)
    refused(tmp_path / "models", "symbolic link out of|leads back to itself")


@pytest.mark.parametrize("layout", ["dvc", "bazel"])
def test_files_beside_a_linked_model_are_delivered(tmp_path: Path, layout: str) -> None:
    source = tmp_path / "source" / "net"
    weights.write_with_weights(source / "1" / "model.onnx")
    (source / "config.yaml").write_text("{}")
    models = tmp_path / "models" / "net"
    for number, name in enumerate(("1/model.onnx", "1/w.bin", "config.yaml")):
        target = source / name
        if layout == "dvc":
            target = tmp_path / "cache" / f"a{number}" / ("b" * 30)
            target.parent.mkdir(parents=True)
            (source / name).rename(target)
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).symlink_to(target)
    copied, mounted = deliveries(tmp_path / "models")
    assert len(copied) == 3
    assert mounted == {tmp_path / "models", *copied}
    (source / "secret").write_text("text")
    (models / "secret").symlink_to(source / "1")
    (models / "1" / "secret").symlink_to(source / "secret")
    refused(tmp_path / "models", "symbolic link out of" if layout == "dvc" else "1/secret: a symbolic link out of")
