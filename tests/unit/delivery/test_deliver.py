"""Models become a model repository inside the container."""

from pathlib import Path

from edgesim.delivery.deliver import model_mounts
from edgesim.models import repository
from tests.conftest import write_model


def test_model_becomes_a_repository_by_mounts_alone(tmp_path: Path) -> None:
    found = repository.find(str(write_model(tmp_path / "my net.onnx")))
    (mount,) = model_mounts(found, "/models")
    assert (mount.source, mount.target) == (tmp_path / "my net.onnx", "/models/my net/1/model.onnx")
