"""A model loaded on trial in a process of its own: what the runtime says, and what is this host's affair."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.errors import HostError, ModelError
from edgesim.host import own_modules
from edgesim.models import bounded_process, repository, trial_load
from edgesim.models.repository import Model


def _product(path: Path, *, operation: str = "MatMul", size: int = 32) -> Model:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name in "xy")
    weights = numpy_helper.from_array(np.ones((size, size), np.float32), "w")
    graph = helper.make_graph([helper.make_node(operation, ["x", "w"], ["y"])], "product", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location=f"{path.stem}.weights", size_threshold=0)
    return repository.find(str(path))


def test_model_that_loads_has_no_failure(tmp_path: Path) -> None:
    assert trial_load.failure(_product(tmp_path / "model.onnx")) is None


def test_failure_has_the_words_of_the_runtime(tmp_path: Path) -> None:
    assert "No Op registered for Multiply" in str(
        trial_load.failure(_product(tmp_path / "model.onnx", operation="Multiply"))
    )


def test_weights_behind_symbolic_links_are_found(tmp_path: Path) -> None:
    blobs, directory = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    directory.mkdir()
    _product(blobs / "model.onnx")
    for name in ("model.onnx", "model.weights"):
        (directory / name).symlink_to(blobs / name)
    model = repository.find(str(directory / "model.onnx"), tmp_path)
    assert trial_load.failure(model) is None


def test_host_without_memory_for_the_model_says_nothing_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _product(tmp_path / "model.onnx")
    monkeypatch.setattr(bounded_process, "spare_bytes", lambda: 1 << 20)
    with pytest.raises(HostError, match="memory"):
        trial_load.failure(model)


def test_model_that_ends_the_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _product(tmp_path / "model.onnx")
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(own_modules, "command", lambda *_: ["python3", "-c", crash])
    with pytest.raises(ModelError, match="SIGSEGV"):
        trial_load.failure(model)
