"""The contents of volumes and images, and mounts for the targets of symbolic links."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from edgesim.delivery import contents, oci_archive, symlinks
from edgesim.delivery.contents import MANIFEST, Contents
from edgesim.delivery.oci_archive import Archive
from edgesim.engine.mounts import Mount, VolumeMount, engine_mounts
from edgesim.errors import ModelError, UsageError
from tests.conftest import write_model


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def repository(directory: Path) -> Contents:
    write(directory / "a" / "1" / "model.onnx", "weights")
    write(directory / "b b" / "1" / "model.onnx", "x" * 1000)
    return contents.of([Mount(directory, "/models")], "/models")


def test_same_files_give_the_same_archive_whenever_and_wherever_made(tmp_path: Path) -> None:
    first, second = repository(tmp_path / "one"), repository(tmp_path / "two")
    os.utime(tmp_path / "two" / "a" / "1" / "model.onnx", (1, 1))
    (tmp_path / "two" / "a" / "1" / "model.onnx").chmod(0o600)
    assert b"".join(first.tar("models")) == b"".join(second.tar("models"))
    assert first.digest == second.digest
    write(tmp_path / "two" / "a" / "1" / "model.onnx", "weightz")
    assert contents.of([Mount(tmp_path / "two", "/models")], "/models").digest != first.digest


def test_archive_has_readable_files_and_ends_with_the_manifest(tmp_path: Path) -> None:
    held = repository(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(held.tar("models")))) as tar:
        members = tar.getmembers()
        file = tar.extractfile("models/b b/1/model.onnx")
        assert file is not None
        assert file.read() == b"x" * 1000
    assert {member.mode for member in members} == {0o755, 0o644}
    assert members[-1].name == f"models/{MANIFEST}"
    assert json.loads(held.manifest)["files"]["a/1/model.onnx"] == hashlib.sha256(b"weights").hexdigest()


def test_manifest_with_more_files_has_no_difference_and_another_one_has(tmp_path: Path) -> None:
    held = repository(tmp_path)
    one = Contents({"a/1/model.onnx": tmp_path / "a" / "1" / "model.onnx"})
    assert contents.first_difference(json.loads(held.manifest), one) is None
    assert contents.first_difference(json.loads(one.manifest), held) == "b b/1/model.onnx"
    assert contents.first_difference({}, one) == "a/1/model.onnx"


@pytest.mark.parametrize(
    ("target", "words"), [("nowhere", "link to a file that does not exist"), ("..", "leads back to itself")]
)
def test_link_that_cannot_be_copied_is_refused(tmp_path: Path, target: str, words: str) -> None:
    write(tmp_path / "a" / "1" / "model.onnx", "weights")
    (tmp_path / "a" / "link").symlink_to(target)
    with pytest.raises(ModelError, match=words):
        contents.of([Mount(tmp_path, "/models")], "/models")


def test_targets_of_links_are_mounted_where_the_links_lead_in_the_container(tmp_path: Path) -> None:
    models, store = tmp_path / "models", tmp_path / "store"
    blob = write_model(store / "blobs" / "x")
    (store / "a" / "1").mkdir(parents=True)
    (store / "a" / "1" / "model.onnx").symlink_to("../../blobs/x")
    models.mkdir()
    (models / "absolute").symlink_to(store / "a")
    (models / "relative").symlink_to("../store/a")
    (models / "within").symlink_to("absolute")
    (models / "broken").symlink_to("nowhere/at/all")
    first = Mount(models, "/models")
    assert set(symlinks.with_targets([first])) == {
        first,
        Mount(store / "a", str(store / "a")),
        Mount(blob, f"{store}/blobs/x"),
        Mount(store / "a", "/store/a"),
        Mount(blob, "/store/blobs/x"),
    }


def test_link_to_where_the_container_has_files_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "usr").symlink_to("/usr")
    with pytest.raises(ModelError, match=r"a symbolic link to /usr, where the container has files of its own"):
        symlinks.with_targets([Mount(tmp_path, "/models")])


def test_mounts_under_selinux_are_labelled_and_missing_files_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a b", "")
    told = engine_mounts([Mount(file, "/models/m"), Mount(tmp_path, "/results", writable=True)], relabel=True)
    assert told == {"mounts": [], "volumes": [f"{file}:/models/m:ro,z", f"{tmp_path}:/results:rw,z"]}
    with pytest.raises(UsageError, match="no such file or directory"):
        engine_mounts([Mount(tmp_path / "missing", "/models/m")], relabel=True)
    with pytest.raises(UsageError, match="colon"):
        engine_mounts([Mount(write(tmp_path / "a:b", ""), "/models/m")], relabel=True)


def test_mounts_are_read_only_unless_writable(tmp_path: Path) -> None:
    told = engine_mounts(
        [Mount(tmp_path, "/models"), Mount(tmp_path, "/results", writable=True), VolumeMount("v", "/m")], relabel=False
    )
    assert [(each["Type"], each["ReadOnly"]) for each in told["mounts"]] == [
        ("bind", True),
        ("bind", False),
        ("volume", True),
    ]


def test_image_archive_names_each_part_by_its_digest(tmp_path: Path) -> None:
    layer = oci_archive.write_layer(tmp_path / "layer.tar", [b"one", b"two"], "a test")
    image = Archive("a/b:1", {"os": "linux", "architecture": "arm64"}, {"Cmd": ["x"]}, [layer])
    written = io.BytesIO()
    image.write(written)
    written.seek(0)
    with tarfile.open(fileobj=written) as tar:
        files = {each.name: tar.extractfile(each) for each in tar if each.isreg()}
        held = {name: file.read() for name, file in files.items() if file is not None}
    for name, data in held.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    index = json.loads(held["index.json"])["manifests"][0]
    assert index["digest"] == image.digest
    manifest = json.loads(held[f"blobs/{index['digest'].replace(':', '/')}"])
    assert held[f"blobs/{manifest['layers'][0]['digest'].replace(':', '/')}"] == b"onetwo"
    assert json.loads(held["manifest.json"])[0]["RepoTags"] == ["a/b:1"]
