"""A model that ONNX Runtime has optimized for x86 is refused for boards of another architecture."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgesim
from edgesim.boards.launch import Launch
from edgesim.errors import ModelError
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import BoardOptions
from edgesim.profiles import load


@pytest.fixture
def blocked(tmp_path: Path) -> Model:
    """A model as ONNX Runtime saves it on x86 at its highest level."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 4, 4]) for name in "xy")
    weights = numpy_helper.from_array(np.zeros((16, 16, 1, 1), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], domain="com.microsoft.nchwc")
    graph = helper.make_graph([node], "net", [x], [y], [weights])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft.nchwc", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "net.onnx")
    return repository.find(tmp_path / "net.onnx")


def test_prediction_names_the_optimization_and_the_level_without_it(blocked: Model) -> None:
    with pytest.raises(ModelError, match="for an x86 processor: arm64 has no kernels") as raised:
        edgesim.predict("raspberry-pi-4", blocked)
    assert raised.value.fix is not None
    assert "ORT_ENABLE_EXTENDED" in raised.value.fix


def test_launch_is_refused_for_an_arm64_board_and_not_for_an_x86_one(blocked: Model) -> None:
    mounts, nowhere = (), object()
    for profile, is_refused in (("raspberry-pi-4", True), ("x86-gateway", False)):
        launch = Launch.of(load(profile), [blocked], BoardOptions(), mounts=mounts, context=nowhere)  # type: ignore[arg-type]
        if is_refused:
            with pytest.raises(ModelError, match="optimized by ONNX Runtime"):
                launch._check_configurations()
        else:
            launch._check_configurations()


def test_check_fails_the_operations_without_a_board(blocked: Model) -> None:
    verdict = edgesim.check("raspberry-pi-4", blocked.path)
    assert [(item.name, item.verdict) for item in verdict.items] == [("artifact", "PASS"), ("operations", "FAIL")]
