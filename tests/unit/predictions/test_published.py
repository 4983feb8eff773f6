"""Published figures, and the fingerprint by which a network is recognised."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim import profiles
from edgesim.models import repository
from edgesim.predictions import graph, predictor, published
from edgesim.predictions.model_reader import ModelReader
from tests.support.targets import FixedGpu

FP16 = "gpu:tensorrt-fp16"


def _network(
    path: Path,
    *,
    prefix: str = "layer",
    opset: int = 17,
    normalized: bool = True,
    activation: str = "Relu",
    kernel: int = 3,
    stride: int = 2,
    shortcut: bool = True,
    size: int = 32,
) -> str:
    """Write six convolutions with a sum, and return their fingerprint."""
    nodes: list[onnx.NodeProto] = []
    weights: list[TensorProto] = []
    source = f"{prefix}_x"
    random = np.random.default_rng(0)

    def weight(*shape: int) -> str:
        name = f"{prefix}_w{len(weights)}"
        weights.append(numpy_helper.from_array(random.random(shape).astype(np.float32), name))
        return name

    def node(operation: str, *inputs: str, **attributes: Any) -> str:
        output = f"{prefix}_{len(nodes)}"
        nodes.append(helper.make_node(operation, inputs, [output], name=output, **attributes))
        return output

    def activated(source: str) -> str:
        if activation == "SiLU":
            return node("Mul", source, node("Sigmoid", source))
        return node(activation, source)

    for i in range(6):
        before = source
        step, channels = (stride, 3) if i == 0 else (1, 8)
        source = node("Conv", source, weight(8, channels, kernel, kernel), strides=[step] * 2, pads=[kernel // 2] * 4)
        if normalized:
            source = node("BatchNormalization", source, *(weight(8) for _ in range(4)))
        if i == 3 and shortcut:
            source = node("Add", source, before)
        source = activated(source)
    x = helper.make_tensor_value_info(f"{prefix}_x", TensorProto.FLOAT, [1, 3, size, size])
    y = helper.make_tensor_value_info(source, TensorProto.FLOAT, None)
    proto = helper.make_graph(nodes, prefix, [x], [y], weights)
    onnx.save(helper.make_model(proto, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return published.fingerprint(graph.read(path))


@pytest.fixture
def fingerprint(tmp_path: Path) -> Callable[..., str]:
    return lambda **options: _network(tmp_path / "net.onnx", **options)


@pytest.mark.parametrize(
    "options",
    [{"prefix": "other"}, {"opset": 11}, {"normalized": False}, {"activation": "Clip"}],
    ids=["names", "opset", "folded normalization", "activation of the same cost"],
)
def test_the_same_network_in_another_file_is_recognised(
    fingerprint: Callable[..., str], options: dict[str, Any]
) -> None:
    assert fingerprint(**options) == fingerprint()


@pytest.mark.parametrize(
    "options",
    [{"kernel": 5}, {"stride": 1}, {"shortcut": False}, {"size": 64}, {"activation": "SiLU"}],
    ids=["kernel", "stride", "sum", "resolution", "activation of another cost"],
)
def test_a_network_that_only_resembles_another_is_not_taken_for_it(
    fingerprint: Callable[..., str], options: dict[str, Any]
) -> None:
    assert fingerprint(**options) != fingerprint()


def test_a_graph_of_few_products_has_no_fingerprint() -> None:
    model = repository.find("digits")
    assert published.fingerprint(graph.read(model.path)) == ""
    assert published.find(profiles.load("jetson-nano"), ModelReader(model), FP16) == ()


def test_a_sample_model_finds_the_figures_of_its_network_on_the_board_and_target_only() -> None:
    model, nano = repository.find("resnet18"), profiles.load("jetson-nano")
    found = published.find(nano, ModelReader(model), FP16)
    assert {figure.model for figure in found} == {"resnet18"}
    assert all(figure.source and 5 < figure.ms < 20 for figure in found)
    assert published.find(nano, ModelReader(model), "cpu") == ()
    assert published.find(profiles.load("raspberry-pi-3"), ModelReader(model), "cpu") == ()
    assert published.find(nano, ModelReader(model, batch=2), FP16) == ()
    assert published.find(nano, ModelReader(model, shapes={"image": (1, 3, 256, 256)}), FP16) == ()


def test_a_prediction_has_the_published_figures_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "PREDICTORS", (FixedGpu(12.0),))
    prediction = predictor.predict("jetson-nano", "resnet18", target=FP16)
    assert len(prediction.published) == 2
    assert "ms for resnet18 on Jetson Nano" in str(prediction.published[0])
    assert "torch2trt" in str(prediction.published[0])


def test_every_figure_has_a_source_and_a_time() -> None:
    for figure in published.figures():
        assert figure.source
        assert figure.ms > 0
        assert figure.profiles
        assert figure.target == "cpu" or figure.target.startswith("gpu:tensorrt-")
        assert len(figure.fingerprint) in (0, 16)
