"""Files in place of a model: what they are, and how to get the model."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.errors import ModelError
from edgesim.models import repository
from tests.support import weights


def test_missing_model_or_weights_that_dvc_stands_for_are_fetched_by_it(tmp_path: Path) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin")
    (tmp_path / "w.bin.dvc").write_text("outs:\n- path: w.bin\n")
    with pytest.raises(ModelError, match=r"w\.bin is missing") as caught:
        repository.find(path)
    assert caught.value.fix == f"dvc pull {tmp_path / 'w.bin.dvc'}"
    path.rename(tmp_path / "other")
    path.with_name("net.onnx.dvc").write_text("outs:\n- path: net.onnx\n")
    with pytest.raises(ModelError, match="no such model file") as caught:
        repository.find(path)
    assert caught.value.fix == f"dvc pull {path}.dvc"


@pytest.mark.parametrize(
    ("content", "kind", "fix"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 139\n", "a Git LFS pointer", "lfs pull"),
        (b"/annex/objects/MD5E-s64--ab\n", "a git-annex pointer", "annex get"),
        (b"<!DOCTYPE html><html><title>Sign in</title></html>", "a web page", "download the file again"),
        (b"\n<HTML>", "a web page", "download the file again"),
        (b"PK\x03\x04" + bytes(200), "a zip archive", "unzip"),
        (b"\x1f\x8b" + bytes(200), "a gzip archive", "unpack"),
        (b"BZh91AY&SY" + bytes(200), "a bzip2 archive", "unpack"),
        (b"\xfd7zXZ\x00" + bytes(200), "a xz archive", "unpack"),
        (b"\x28\xb5\x2f\xfd" + bytes(200), "a Zstandard archive", "unpack"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(200), "a 7z archive", "unpack"),
        (b"net.onnx".ljust(257, b"\0") + b"ustar\x0000" + bytes(200), "a tar archive", "unpack"),
        (b'{"message": "Not Found"}', "JSON, such as a server answers with an error", "head -c"),
        (b"", "an empty file", "export or download"),
        (b"hello", "protocol buffers cannot parse it", "export the model to ONNX"),
        (b"hello", "protocol buffers cannot parse it", "download the file again"),
    ],
)
def test_file_in_place_of_a_model_is_named_with_what_gets_the_model(
    tmp_path: Path, content: bytes, kind: str, fix: str
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        repository.find(path)
    assert "net.onnx: not an ONNX model" in caught.value.problem
    assert kind in caught.value.problem
    assert fix in caught.value.fix


def test_link_to_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").symlink_to("nowhere")
    with pytest.raises(ModelError, match="a symbolic link to a file that does not exist"):
        repository.find(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a directory"),
        (os.mkfifo, "a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_path_to_something_that_is_no_file_is_named(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=f"net.onnx: {kind}"):
        repository.find(tmp_path / "net.onnx")
