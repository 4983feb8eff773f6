"""The server reads no weights outside the directory of their model, whatever a model says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesim.server.config import ConfigError, Declared, ModelConfig
from edgesim.server.config_files import labels
from edgesim.server.runtimes import external_weights, onnx_runtime
from edgesim.server.runtimes.external_weights import read_external_weights, require_inside
from tests.support import weights
from tests.support.weights import ROW, VALUES


def model(tmp_path: Path, location: str) -> Path:
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    path = weights.write(tmp_path / "models" / "net" / "1" / "model.onnx", location)
    (path.parent / "other").touch()
    return path


@pytest.mark.parametrize(
    "location", ["../../../secret.bin", "{}/secret.bin", "sub/../w.bin", ".git/config", "", "a\0b"]
)
def test_weights_outside_the_directory_are_not_read(tmp_path: Path, location: str) -> None:
    path = model(tmp_path, location.format(tmp_path))
    for read in (read_external_weights, require_inside):
        with pytest.raises(ValueError, match="name a file outside the model's directory"):
            read(path)


def test_weights_that_name_their_file_twice_are_not_read(tmp_path: Path) -> None:
    path = model(tmp_path, "w.bin")
    proto = weights.parse(path)
    proto.graph.initializer[0].external_data.add(key="location", value="../secret.bin")
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match="name their file or place twice"):
        read_external_weights(path)


@pytest.mark.parametrize("place", ["branch", "loop", "constant", "function", "sparse"])
def test_weights_anywhere_in_the_graph_are_looked_at(tmp_path: Path, place: str) -> None:
    path = model(tmp_path, "w.bin")
    weights.write_nested(path, "../secret.bin", place)
    with pytest.raises(ValueError, match="name a file outside the model's directory"):
        require_inside(path)
    weights.write_nested(path, "inner.bin", place)
    require_inside(path)


def test_link_of_weights_out_of_the_repository_is_not_followed(tmp_path: Path) -> None:
    path = model(tmp_path, "w.bin")
    (path.parent / "w.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ValueError, match=r"w\.bin is a symbolic link out of the model's directory"):
        read_external_weights(path)
    (path.parent / "w.bin").unlink()
    (tmp_path / "models" / "shared.bin").write_bytes(VALUES.tobytes())
    (path.parent / "w.bin").symlink_to("../../shared.bin")
    assert np.array_equal(read_external_weights(path)["w"].numpy(), VALUES)


def test_link_of_weights_to_a_file_of_git_is_not_followed(tmp_path: Path) -> None:
    path = model(tmp_path, "w.bin")
    git = tmp_path / "models" / ".git"
    git.mkdir()
    (git / "config").write_bytes(VALUES.tobytes())
    (path.parent / "w.bin").symlink_to("../../.git/config")
    for read in (read_external_weights, require_inside):
        with pytest.raises(ValueError, match=r"w\.bin is a symbolic link to a file of git"):
            read(path)


def test_weights_that_git_annex_keeps_with_the_model_are_read(tmp_path: Path) -> None:
    path = model(tmp_path, "w.bin")
    objects = tmp_path / "models" / ".git" / "annex" / "objects"
    for key, content in (("MODEL", path.read_bytes()), ("WEIGHTS", VALUES.tobytes())):
        (objects / "0a" / "1b" / key).mkdir(parents=True)
        (objects / "0a" / "1b" / key / key).write_bytes(content)
    path.unlink()
    path.symlink_to("../../.git/annex/objects/0a/1b/MODEL/MODEL")
    weights_link = path.parent / "w.bin"
    weights_link.symlink_to("../../.git/annex/objects/0a/1b/WEIGHTS/WEIGHTS")
    assert np.array_equal(read_external_weights(path)["w"].numpy(), VALUES)
    weights_link.unlink()
    (objects / "0a" / "1b" / "WEIGHTS" / "token").write_bytes(VALUES.tobytes())
    weights_link.symlink_to("../../.git/annex/objects/0a/1b/WEIGHTS/token")
    with pytest.raises(ValueError, match="to a file of git"):
        read_external_weights(path)


def test_weights_beside_the_target_of_a_linked_model_are_read(tmp_path: Path) -> None:
    path = model(tmp_path, "w.bin")
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    path.rename(blobs / "a")
    path.symlink_to(blobs / "a")
    (blobs / "b").write_bytes(VALUES.tobytes())
    (path.parent / "w.bin").symlink_to(blobs / "b")
    assert np.array_equal(read_external_weights(path)["w"].numpy(), VALUES)


def test_model_that_a_client_sends_may_name_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights.write_with_weights(tmp_path / "models" / "net" / "1" / "model.onnx")
    monkeypatch.chdir(path.parent)  # where ONNX Runtime would look for the file
    runtime = onnx_runtime.OnnxRuntime()
    with pytest.raises(ValueError, match="'w' are in another file, which a model that is sent cannot have"):
        runtime.load(path, ModelConfig(), content=path.read_bytes(), threads=1, files_change=False)


@pytest.mark.parametrize(("old", "files_change"), [(True, False), (False, True), (False, False)])
def test_no_runtime_and_no_way_of_loading_reads_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool, files_change: bool
) -> None:
    monkeypatch.setattr(onnx_runtime, "_RUNTIME_READS_ANY_FILE", old)
    path = model(tmp_path, "../../../secret.bin")
    runtime = onnx_runtime.OnnxRuntime()
    with pytest.raises(Exception, match=r"outside|escapes"):
        runtime.load(path, ModelConfig(), content=None, threads=1, files_change=files_change)
    good = weights.write_with_weights(tmp_path / "models" / "good" / "1" / "model.onnx")
    session = runtime.load(good, ModelConfig(), content=None, threads=1, files_change=files_change)
    assert np.allclose(session.infer({"x": ROW}, ["y"])[0], ROW @ VALUES)


def test_the_time_of_loading_is_that_of_the_session_without_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    check = onnx_runtime._require_weights_inside

    def slow_check(path: Path, content: bytes | None) -> Any:
        clock_s[0] += 100.0
        return check(path, content)

    monkeypatch.setattr(onnx_runtime, "_RUNTIME_READS_ANY_FILE", True)
    monkeypatch.setattr(onnx_runtime, "_require_weights_inside", slow_check)
    monkeypatch.setattr(onnx_runtime, "time", SimpleNamespace(perf_counter=lambda: clock_s[0]))
    path = weights.write_with_weights(tmp_path / "models" / "net" / "1" / "model.onnx")
    session = onnx_runtime.OnnxRuntime().load(path, ModelConfig(), content=None, threads=1, files_change=False)
    assert (session.load_s, clock_s) == (0.0, [100.0])


def test_a_model_with_weights_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights.write_with_weights(tmp_path / "models" / "net" / "1" / "model.onnx")
    model_type, parsed = external_weights._model_type, []

    def counted_model_type() -> Any:
        parsed.append(1)
        return model_type()

    monkeypatch.setattr(external_weights, "_model_type", counted_model_type)
    monkeypatch.setattr(onnx_runtime, "_RUNTIME_READS_ANY_FILE", True)
    onnx_runtime.OnnxRuntime().load(path, ModelConfig(), content=None, threads=1, files_change=True)
    assert parsed == [1]


@pytest.mark.parametrize("name", ["{}/secret.txt", "../secret.txt", "sub/../../secret.txt", "a\0b"])
def test_labels_are_read_in_the_directory_of_the_model_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    directory = tmp_path / "net"
    directory.mkdir()
    declared = Declared(name="y", label_filename=name.format(tmp_path))
    with pytest.raises(ConfigError, match="label_filename"):
        labels(ModelConfig(outputs=(declared,)), directory)
