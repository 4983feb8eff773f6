"""A tensor of any rank is no scalar, though ONNX Runtime describes both by an empty shape."""

from pathlib import Path

import numpy as np
import pytest

from edgesim.server.config import ModelConfig
from edgesim.server.runtimes.onnx_runtime import OnnxRuntime
from edgesim.server.runtimes.ranks import of_any_rank
from tests.support.input_models import FLOAT, model_with


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return model_with(
        tmp_path / "net.onnx", {"any": (FLOAT, None), "scalar": (FLOAT, ()), "row": (FLOAT, (1, "n"))}
    ).path


def test_inputs_and_outputs_without_a_shape_are_those_of_any_rank(path: Path) -> None:
    assert of_any_rank(path) == of_any_rank(path, path.read_bytes()) == {"any", "any_out"}


def test_what_is_cut_off_tells_what_was_known_until_then(path: Path) -> None:
    whole = path.read_bytes()
    for end in range(1, len(whole), 7):
        assert of_any_rank(path, whole[:end]) <= {"any", "any_out"}
    assert of_any_rank(path, b"\xff" * 100) == frozenset()


def test_server_describes_and_takes_a_tensor_of_any_rank(path: Path) -> None:
    session = OnnxRuntime().load(path, ModelConfig(), content=None, threads=1, files_change=False)
    assert session.inputs["any"].as_json()["shape"] == [-1]
    assert session.inputs["any"].as_json()["parameters"] == {"any_rank": True}
    assert session.inputs["scalar"].as_json() == {"name": "scalar", "datatype": "FP32", "shape": []}
    values = {"any": np.ones((2, 1, 3), np.float32), "scalar": np.float32(1), "row": np.ones((1, 2), np.float32)}
    arrays = {name: np.asarray(value) for name, value in values.items()}
    assert session.infer(arrays, ["any_out"])[0].shape == (2, 1, 3)
