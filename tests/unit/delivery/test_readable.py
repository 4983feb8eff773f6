"""What the container's user may not read is told before the container starts, as the host's fault."""

import os
from pathlib import Path

import pytest

from edgesim.delivery import readable
from edgesim.delivery.deliver import model_mounts
from edgesim.engine.mounts import Mount, VolumeMount
from edgesim.errors import HostError
from edgesim.images.debian import USER
from edgesim.models import repository
from tests.support import weights

ME = f"{os.getuid()}:{os.getgid()}"


@pytest.mark.parametrize("mode", [0o600, 0o640])
@pytest.mark.parametrize("name", ["net.onnx", "w.bin"])
def test_model_file_without_permission_for_others_is_the_hosts_fault(tmp_path: Path, name: str, mode: int) -> None:
    model = repository.find(weights.write_with_weights(tmp_path / "net.onnx"))
    mounts = model_mounts(model, "/models")
    readable.require(mounts, USER, repository="/models")
    (tmp_path / name).chmod(mode)
    with pytest.raises(HostError, match=f"{name}: the container's user 65532 has no right to read it") as caught:
        readable.require(mounts, USER, repository="/models")
    assert caught.value.exit_code == 3
    assert caught.value.fix == f"chmod o+r {tmp_path / name}, or use `mount=volume`, which copies the files"
    readable.require(mounts, ME, repository="/models")  # with `results`, the container runs as the owner


def test_directories_above_a_mounted_file_do_not_matter(tmp_path: Path) -> None:
    model = repository.find(weights.write_with_weights(tmp_path / "closed" / "net.onnx"))
    (tmp_path / "closed").chmod(0o700)
    readable.require(model_mounts(model, "/models"), USER, repository="/models")


@pytest.mark.parametrize("closed", ["", "net", "net/1", "net/1/model.onnx", "net/1/w.bin", "net/config.yaml"])
def test_repository_counts_with_its_directories(tmp_path: Path, closed: str) -> None:
    models = tmp_path / "models"
    weights.write_with_weights(models / "net" / "1" / "model.onnx")
    (models / "net" / "config.yaml").write_text("{}")
    models.chmod(0o755)
    readable.require([Mount(models, "/models")], USER, repository="/models")
    (models / closed).chmod((models / closed).stat().st_mode & 0o750)
    with pytest.raises(HostError, match="has no right to read it") as caught:
        readable.require([Mount(models, "/models")], USER, repository="/models")
    assert str(models / closed) in caught.value.problem
    assert caught.value.fix.startswith(f"chmod -R o+rX {models}, or use `mount=volume`")


def test_files_that_the_server_does_not_read_do_not_matter(tmp_path: Path) -> None:
    weights.write_with_weights(tmp_path / "net" / "1" / "model.onnx")
    tmp_path.chmod(0o755)
    (tmp_path / "drafts").mkdir(mode=0o700)
    for name in ("readme", "net/samples.npz", "net/.notes"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    readable.require([Mount(tmp_path, "/models"), VolumeMount("v", "/models")], USER, repository="/models")


def test_user_without_a_group_has_group_0(tmp_path: Path) -> None:
    path = weights.write_with_weights(tmp_path / "net.onnx")
    path.chmod(0o600)
    with pytest.raises(HostError, match="user 1234"):
        readable.require([Mount(path, "/models/net/1/model.onnx")], "1234", repository="/models")


def test_file_system_without_extended_attributes_is_judged_by_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.write_with_weights(tmp_path / "net.onnx")
    path.chmod(0o600)

    def unsupported(path: Path) -> list[str]:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", unsupported)
    with pytest.raises(HostError, match="mode 0600"):
        readable.require([Mount(path, "/models/net/1/model.onnx")], USER, repository="/models")
