"""The configuration beside a model: what counts, what is refused, and what is never opened."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim import predictions, profiles
from edgesim.boards.launch import Launch
from edgesim.delivery.deliver import model_mounts
from edgesim.errors import ModelError
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import BoardOptions
from tests.conftest import write_model

BATCHED = "max_batch_size: 8\ndynamic_batching: true\nmax_queue_delay_us: 2000\nintra_op_threads: 1\n"


def model(directory: Path, text: str | None, *, name: str = "config.yaml", versions: tuple[int, ...] = (1,)) -> Model:
    for version in versions:
        write_model(directory / "models" / "net" / str(version) / "model.onnx")
    if text is not None:
        (directory / "models" / "net" / name).write_text(text)
    return repository.find("net", directory / "models")


def check(model: Model) -> None:
    Launch.of(profiles.load("jetson-nano"), [model], BoardOptions()).check()


def test_configuration_and_labels_go_along_wherever_the_model_goes(tmp_path: Path) -> None:
    without = model(tmp_path, None)
    assert without.configuration is None
    (tmp_path / "models" / "net" / "labels.txt").write_text("cat\ndog\n")
    configured = model(tmp_path, "labels: {y: labels.txt}\n")
    targets = [mount.target for mount in model_mounts(configured, "/models")]
    assert targets[-2:] == ["/models/net/config.yaml", "/models/net/labels.txt"]
    assert configured.configuration is not None
    assert configured.sha256 == without.sha256, "the digest is the model's, and an old baseline stays comparable"
    (tmp_path / "models" / "net" / "labels.txt").write_text("cat\ncow\n")
    changed = repository.find("net", tmp_path / "models").configuration
    assert changed is not None
    assert changed.sha256 != configured.configuration.sha256


def test_an_onnx_file_outside_a_repository_has_no_configuration(tmp_path: Path) -> None:
    write_model(tmp_path / "a" / "net.onnx")
    write_model(tmp_path / "b" / "latest" / "model.onnx")
    (tmp_path / "config.yaml").write_text("nonsense")
    (tmp_path / "b" / "config.yaml").write_text("nonsense")
    assert repository.find(tmp_path / "a" / "net.onnx").configuration is None
    assert repository.find(tmp_path / "b" / "latest" / "model.onnx").configuration is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.yaml", "max_batch_sise: 8\n", "unknown field 'max_batch_sise'; did you mean 'max_batch_size'?"),
        ("config.yaml", "intra_op_threads: 5\n", "intra_op_threads: 5 is more than the board's 4"),
        ("config.yaml", "version_policy: {specific: [7]}\n", "version_policy serves 7, not version 1"),
        ("config.yaml", "labels: {y: missing.txt}\n", "missing.txt"),
        ("config.yaml", "labels: {y: ../../../secret.txt}\n", "not in the model's directory"),
        ("config.yaml", "labels: {y: /etc/hostname}\n", "not in the model's directory"),
        ("config.yaml", "\xff: [", "net: the server refuses its configuration"),
        ("config.pbtxt", "instance_group [{ count: 5 }]\n", "instance_group.count: 5"),
        ("config.pbtxt", "model_warmup [{ name: 'w' }]\n", "model_warmup"),
        ("config.pbtxt", "name: 'other'\n", "name: 'other'; expected 'net'"),
    ],
)
def test_what_the_server_refuses_is_refused_before_anything_starts(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    refused = model(tmp_path, text, name=name)
    with pytest.raises(ModelError, match="the server refuses its configuration") as caught:
        check(refused)
    assert words in caught.value.problem
    assert not any("secret" in mount.target or "hostname" in mount.target for mount in model_mounts(refused, "/models"))


def test_both_kinds_of_configuration_at_once_are_refused(tmp_path: Path) -> None:
    model(tmp_path, "max_batch_size: 0\n", name="config.pbtxt")
    with pytest.raises(ModelError, match=r"both config\.yaml and config\.pbtxt"):
        check(model(tmp_path, "max_batch_size: 0\n"))


@pytest.mark.parametrize("link", ["config.yaml", "labels.txt"])
def test_a_link_out_of_the_directory_is_never_followed(tmp_path: Path, link: str) -> None:
    model(tmp_path, "labels: {y: labels.txt}\n")
    (tmp_path / "outside").write_text("labels: {}\n")
    (tmp_path / "models" / "net" / link).unlink(missing_ok=True)
    (tmp_path / "models" / "net" / link).symlink_to(tmp_path / "outside")
    with pytest.raises(ModelError, match=r"a symbolic link to .*outside, which is not the model's"):
        repository.find("net", tmp_path / "models")


@pytest.mark.parametrize("name", ["config.yaml", "config.pbtxt"])
@pytest.mark.parametrize(("put", "words"), [(os.mkfifo, "not a file"), (os.mkdir, "not a file"), (None, "to nothing")])
def test_what_is_in_place_of_a_configuration_is_not_passed_over(
    tmp_path: Path, name: str, put: Callable[[Path], None] | None, words: str
) -> None:
    path = model(tmp_path, "").path.parent.parent / name
    (path.parent / "config.yaml").unlink()
    put(path) if put is not None else path.symlink_to("nothing")
    with pytest.raises(ModelError, match="the server refuses its configuration") as caught:
        check(repository.find("net", tmp_path / "models"))
    assert words in caught.value.problem


@pytest.mark.parametrize("name", ["samples.npz", "inputs.yaml"])
def test_what_is_in_place_of_samples_or_inputs_is_not_passed_over(tmp_path: Path, name: str) -> None:
    path = model(tmp_path, None).path.parent.parent / name
    path.symlink_to("nothing")
    (path.parent / f"{name}.dvc").touch()
    with pytest.raises(ModelError, match="a symbolic link to nothing, not a file") as caught:
        repository.find("net", tmp_path / "models")
    assert f"dvc pull {path}.dvc" in caught.value.fix
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ModelError, match="a pipe, not a file"):
        repository.find("net", tmp_path / "models")


def test_another_images_server_reads_its_own_configuration(tmp_path: Path) -> None:
    nano = profiles.load("jetson-nano")
    image = nano.image.model_copy(update={"reference": "triton:24.01", "dockerfile": None})
    refused = model(tmp_path, "instance_group [{ count: 5 }]\n", name="config.pbtxt")
    Launch.of(nano.model_copy(update={"image": image}), [refused], BoardOptions()).check()


def test_the_newest_version_that_the_policy_serves_is_the_models(tmp_path: Path) -> None:
    assert model(tmp_path, "version_policy: {specific: [1, 2]}\n", versions=(1, 2, 3)).version == "2"
    assert model(tmp_path, "version_policy: {latest: 2}\n", versions=(1, 2, 3)).version == "3"


def test_configured_threads_are_those_of_the_prediction(tmp_path: Path) -> None:
    one_thread = predictions.predict("jetson-nano", model(tmp_path, "intra_op_threads: 1\n"))
    assert one_thread.threads == 1
    assert predictions.predict("jetson-nano", model(tmp_path, None, versions=(2,)), threads=3).threads == 3
