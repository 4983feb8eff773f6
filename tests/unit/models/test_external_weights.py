"""Weights in other files: which are a model's, which are refused, and that no other file is opened."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgesim.delivery.deliver import model_mounts
from edgesim.errors import HostError, ModelError
from edgesim.models import external_weights, repository
from tests.support import weights
from tests.support.weights import ROW, VALUES

_opened: list[str] = []
_recording = False


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if _recording and event in ("open", "os.link", "os.listdir"):
        _opened.append(str(arguments[0]))


sys.addaudithook(_record)


@contextmanager
def opened_files() -> Iterator[list[str]]:
    global _recording  # a hook cannot be removed
    _opened.clear()
    _recording = True
    try:
        yield _opened
    finally:
        _recording = False


def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.bin"
    path.write_bytes(VALUES.tobytes())
    return path


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "{}/secret.bin",
        "sub/../../secret.bin",
        "./../secret.bin",
        "sub/../w.bin",
        ".git/config",
        "..",
        "/",
    ],
)
def test_weights_outside_the_directory_are_refused_and_never_opened(tmp_path: Path, location: str) -> None:
    outside = secret(tmp_path)
    path = weights.write(tmp_path / "net" / "net.onnx", location.format(tmp_path))
    (tmp_path / "net" / ".git").mkdir()
    (tmp_path / "net" / ".git" / "config").write_bytes(VALUES.tobytes())
    with (
        opened_files() as opened,
        pytest.raises(ModelError, match=r"'w' name a file outside the model's directory") as e,
    ):
        repository.find(path)
    assert e.value.exit_code == 2
    assert repr(location.format(tmp_path)) in e.value.problem
    assert "save_as_external_data" in e.value.fix
    assert str(outside) not in opened
    assert not [name for name in opened if name.endswith("config")]


@pytest.mark.parametrize("location", ["", ".", "a\0b"])
def test_weights_that_name_no_file_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelError, match="'w' name no file"):
        repository.find(weights.write(tmp_path / "net.onnx", location))


@pytest.mark.parametrize(("make", "kind"), [(Path.mkdir, "a directory"), (os.mkfifo, "a pipe")])
def test_weights_that_are_no_file_are_named(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / "w.bin")
    with pytest.raises(ModelError, match=rf"w\.bin is {kind}, not a file"):
        repository.find(weights.write(tmp_path / "net.onnx", "w.bin"))


def test_place_of_weights_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the weights 'w' have no number as offset 'abc'"):
        repository.find(weights.write(tmp_path / "net.onnx", "w.bin", offset="abc"))


def test_path_of_windows_is_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(VALUES.tobytes())
    with pytest.raises(ModelError, match=r"sub\\w\.bin is missing: a path of Windows"):
        repository.find(weights.write(tmp_path / "net.onnx", "sub\\w.bin"))


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/dir/w.bin", "sub//w.bin", "..w.bin", "a..b/w"])
def test_weights_within_the_directory_belong_to_the_model(tmp_path: Path, location: str) -> None:
    model = repository.find(weights.write_with_weights(tmp_path / "net.onnx", location))
    assert [path.samefile(tmp_path / location) for path in model.data_paths] == [True]
    assert model.size_bytes == model.path.stat().st_size + VALUES.nbytes
    target = model_mounts(model, "/models")[1].target
    assert target == f"/models/net/1/{location.removeprefix('./').replace('//', '/')}"


@pytest.mark.parametrize("place", ["branch", "loop", "constant", "function", "sparse"])
def test_weights_anywhere_in_the_graph_belong_to_the_model(tmp_path: Path, place: str) -> None:
    path = weights.write_nested(tmp_path / "net.onnx", "inner.bin", place)
    with pytest.raises(ModelError, match=r"inner\.bin is missing"):
        repository.find(path)
    (tmp_path / "inner.bin").write_bytes(ROW.tobytes())
    model = repository.find(path)
    assert model.data_paths == (tmp_path / "inner.bin",)
    assert model.size_bytes == path.stat().st_size + ROW.nbytes
    assert model.parameters >= 4
    assert [mount.source for mount in model_mounts(model, "/models")] == [path, tmp_path / "inner.bin"]
    digest = model.sha256  # which is made now, and not when the model was found
    (tmp_path / "inner.bin").write_bytes(bytes(16))
    assert repository.find(path).sha256 != digest
    secret(tmp_path)
    with pytest.raises(ModelError, match="outside the model's directory"):
        repository.find(weights.write_nested(tmp_path / "net" / "net.onnx", "../secret.bin", place))


def test_values_within_the_file_are_no_external_weights(tmp_path: Path) -> None:
    proto = weights.parse(weights.write_nested(tmp_path / "net.onnx", "inner.bin", "loop"))
    assert external_weights.are_nested(proto)
    assert not external_weights.are_nested(weights.parse(weights.write(tmp_path / "flat.onnx", "w.bin")))


# --- links ------------------------------------------------------------------------------------------------------------


def store(tmp_path: Path, layout: str) -> Path:
    """Return a model whose file and weights are links into a store of the kind `layout`."""
    plain = weights.write_with_weights(tmp_path / "plain" / "model.onnx")
    names = {"model.onnx": "ab" + "1" * 30, "w.bin": "cd" + "2" * 30}
    if layout == "hugging face":
        directory = tmp_path / "hub" / "models--acme--tiny" / "snapshots" / "0123" / "onnx"
        targets = {name: tmp_path / "hub" / "models--acme--tiny" / "blobs" / digest for name, digest in names.items()}
    elif layout == "dvc":
        directory = tmp_path / "checkout" / "net" / "1"
        targets = {name: tmp_path / "cache" / "files" / "md5" / d[:2] / d[2:] for name, d in names.items()}
    elif layout == "git-annex":
        directory = tmp_path / "checkout" / "net" / "1"
        objects = tmp_path / "checkout" / ".git" / "annex" / "objects"
        keys = {name: f"MD5E-s64--{digest}" for name, digest in names.items()}
        targets = {name: objects / "xK" / names[name][:2] / key / key for name, key in keys.items()}
    else:  # bazel: each file is a link to its source
        directory = tmp_path / "out" / "run.runfiles" / "_main" / "net"
        targets = {name: tmp_path / "source" / "net" / name for name in names}
    directory.mkdir(parents=True)
    for name, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        (plain.parent / name).rename(target)
        (directory / name).symlink_to(os.path.relpath(target, directory))
    return directory / "model.onnx"


LAYOUTS = ["hugging face", "dvc", "git-annex", "bazel"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_beside_the_link_in_caches_and_stores(tmp_path: Path, layout: str) -> None:
    path = store(tmp_path, layout)
    model = repository.find(path)
    assert model.data_paths == (path.parent / "w.bin",)
    mounts = model_mounts(model, "/models")
    assert [mount.target.rsplit("/", 1)[1] for mount in mounts] == ["model.onnx", "w.bin"]
    assert [mount.source for mount in mounts] == [path.resolve(), (path.parent / "w.bin").resolve()]


def test_model_of_the_hugging_face_cache_has_the_name_of_its_repository(tmp_path: Path) -> None:
    assert repository.find(store(tmp_path, "hugging face")).name == "acme--tiny"


@pytest.mark.parametrize("layout", [*LAYOUTS, "plain"])
def test_link_of_weights_to_any_other_file_is_refused_and_never_opened(tmp_path: Path, layout: str) -> None:
    path = store(tmp_path, layout) if layout != "plain" else weights.write(tmp_path / "net" / "net.onnx", "w.bin")
    outside = tmp_path / "home" / "secret.bin"
    outside.parent.mkdir()
    outside.write_bytes(VALUES.tobytes())
    (path.parent / "w.bin").unlink(missing_ok=True)
    (path.parent / "w.bin").symlink_to(outside)
    with opened_files() as opened, pytest.raises(ModelError, match=r"w\.bin is a symbolic link out of") as caught:
        repository.find(path)
    assert str(outside) in caught.value.problem
    assert "models=DIR" in caught.value.fix
    assert not [name for name in opened if name.endswith(("secret.bin", "w.bin"))]


def test_link_within_a_linked_directory_does_not_lead_out_either(tmp_path: Path) -> None:
    secret(tmp_path)
    path = weights.write(tmp_path / "net" / "net.onnx", "sub/secret.bin")
    (path.parent / "sub").symlink_to(tmp_path)
    with pytest.raises(ModelError, match="symbolic link out of"):
        repository.find(path)


def test_link_to_the_configuration_of_git_is_refused(tmp_path: Path) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_bytes(VALUES.tobytes())
    (tmp_path / "w.bin").symlink_to(".git/config")
    with pytest.raises(ModelError, match="symbolic link out of"):
        repository.find(path)


def test_link_may_lead_anywhere_in_the_repository_that_the_user_names(tmp_path: Path) -> None:
    path = weights.write(tmp_path / "models" / "net" / "1" / "model.onnx", "w.bin")
    shared = tmp_path / "models" / "shared.bin"
    shared.write_bytes(VALUES.tobytes())
    (path.parent / "w.bin").symlink_to("../../shared.bin")
    assert repository.find("net", tmp_path / "models").data_paths == (path.parent / "w.bin",)
    assert repository.find(path, tmp_path / "models").data_paths == (path.parent / "w.bin",)
    with pytest.raises(ModelError, match="symbolic link out of"):
        repository.find(path)


def test_repository_with_a_linked_directory_is_read_as_the_directory(tmp_path: Path) -> None:
    weights.write_with_weights(tmp_path / "data" / "net" / "1" / "model.onnx")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net").symlink_to(tmp_path / "data" / "net")
    assert repository.find("net", tmp_path / "models").data_paths == (tmp_path / "data" / "net" / "1" / "w.bin",)


@pytest.mark.parametrize("target", ["nowhere", "w.bin"])
def test_link_to_nothing_says_how_to_fetch_the_file(tmp_path: Path, target: str) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin")
    (tmp_path / "w.bin").symlink_to(target)
    with pytest.raises(
        ModelError, match=r"w\.bin is missing: the target of the symbolic link does not exist"
    ) as caught:
        repository.find(path)
    assert "dvc pull" in caught.value.fix


@pytest.mark.parametrize("length", ["4", "128"])
def test_weights_whose_place_and_shape_differ_in_size_are_refused_as_onnx_runtime_does(
    tmp_path: Path, length: str
) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin", length=length)
    (tmp_path / "w.bin").write_bytes(bytes(128))
    with pytest.raises(ModelError, match=f"'w' take 64 bytes by their shape, and {length} by their place in w.bin"):
        repository.find(path)


def test_weights_without_a_length_take_what_their_shape_says(tmp_path: Path) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin", length="0")
    (tmp_path / "w.bin").write_bytes(bytes(64))
    assert repository.find(path).data_paths


# --- pointers, short files, files without permission ------------------------------------------------------------------


@pytest.mark.parametrize(("entries", "end"), [({}, 64), ({"offset": "40"}, 104), ({"length": ""}, 64)])
def test_short_file_of_weights_is_told_with_both_sizes(tmp_path: Path, entries: dict[str, str], end: int) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin", **entries)
    (tmp_path / "w.bin").write_bytes(bytes(end - 1))
    with pytest.raises(ModelError, match=f"w.bin is cut short: it has {end - 1} bytes, and the model needs {end}"):
        repository.find(path)
    (tmp_path / "w.bin").write_bytes(bytes(end))
    assert len(repository.find(path).data_paths) == 1


@pytest.mark.parametrize("entries", [{"offset": "-1"}, {"offset": "x"}, {"length": "1e3"}, {"length": "-4"}])
def test_positions_that_are_no_numbers_are_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    with pytest.raises(ModelError, match="the weights 'w'"):
        repository.find(weights.write(tmp_path / "net.onnx", "w.bin", **entries))


def test_pointer_in_place_of_weights_is_told_even_where_it_is_long_enough(tmp_path: Path) -> None:
    path = weights.write(tmp_path / "net.onnx", "w.bin")
    (tmp_path / "w.bin").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 64\n")
    with pytest.raises(ModelError, match=r"w\.bin is a Git LFS pointer, not the file: it has 127 bytes") as caught:
        repository.find(path)
    assert f"git -C {tmp_path} lfs pull" in caught.value.fix


def test_weights_that_name_their_file_twice_are_refused(tmp_path: Path) -> None:
    proto = weights.parse(weights.write_with_weights(tmp_path / "net.onnx"))
    proto.graph.initializer[0].external_data.add(key="location", value="other.bin")
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match="name their file or place twice"):
        repository.find(tmp_path / "net.onnx")


def test_directory_that_this_user_may_not_read_is_the_hosts_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights.write_with_weights(tmp_path / "net" / "1" / "model.onnx")

    def denied(self: Path) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", denied)
    for read in (lambda: repository.find("net", tmp_path), lambda: repository.names(tmp_path)):
        with pytest.raises(HostError, match="this user has no right to read it"):
            read()


def test_weights_that_this_user_may_not_read_are_the_hosts_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = weights.write_with_weights(tmp_path / "net.onnx"), Path.open

    def denied(self: Path, *arguments: object, **keywords: object) -> object:  # root, who runs tests, may read all
        if self.name == "w.bin":
            raise PermissionError(13, "Permission denied")
        return plain(self, *arguments, **keywords)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(HostError, match=r"w\.bin: this user has no right to read it") as caught:
        repository.find(path)
    assert "chmod u+rX" in caught.value.fix
