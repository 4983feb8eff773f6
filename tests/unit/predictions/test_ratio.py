"""The ratio of two predictions: what both share cancels, and what one has alone does not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim import predictions, profiles
from edgesim.predictions import Prediction, onnxruntime_cpu, ratio
from edgesim.predictions.ratio import ratio_band

BOARD = profiles.load("raspberry-pi-4")
SCALE = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
ZERO = numpy_helper.from_array(np.array(0, np.int8), "zero")
SIZE = 256


def predicted(directory: Path, layers: int, *, quantized: int = 0) -> Prediction:
    """Predict a chain of matrix products, the first `quantized` of them in int8."""
    weight = np.ones((SIZE, SIZE), np.float32)
    nodes, weights, last = [], [SCALE, ZERO, numpy_helper.from_array(weight, "w")], "x"
    weights.append(numpy_helper.from_array(weight.astype(np.int8), "w8"))
    for i in range(layers):
        left, right = last, "w"
        if i < quantized:
            nodes += [
                helper.make_node("QuantizeLinear", [last, "scale", "zero"], [f"q{i}"]),
                helper.make_node("DequantizeLinear", [f"q{i}", "scale", "zero"], [f"d{i}"]),
                helper.make_node("DequantizeLinear", ["w8", "scale", "zero"], [f"v{i}"]),
            ]
            left, right = f"d{i}", f"v{i}"
        last = f"h{i}"
        nodes.append(helper.make_node("MatMul", [left, right], [last]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [64, SIZE])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, [64, SIZE])
    path = directory / f"{layers}-{quantized}.onnx"
    graph = helper.make_graph(nodes, "net", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return predictions.predict(BOARD, path)


def half_width(base: Prediction, candidate: Prediction) -> float:
    band = ratio_band(BOARD, base, candidate)
    assert band.low <= band.ratio <= band.high
    return float(np.log(band.high / band.ratio))


def test_models_of_the_same_graph_have_no_band(tmp_path: Path) -> None:
    one, other = (predicted(tmp_path, 10) for _ in range(2))
    band = ratio_band(BOARD, one, other)
    assert (band.low, band.ratio, band.high, band.reasons) == (1, 1, 1, ())


def test_band_is_far_narrower_than_a_predictions_where_few_nodes_differ(tmp_path: Path) -> None:
    base, candidate = predicted(tmp_path, 20), predicted(tmp_path, 21)
    own = float(np.log(candidate.high_ms / candidate.p50_ms))
    assert 0 < half_width(base, candidate) < own / 5
    assert ratio_band(BOARD, base, candidate).ratio == pytest.approx(candidate.p50_ms / base.p50_ms)


def test_factor_of_a_precision_does_not_cancel(tmp_path: Path) -> None:
    base, candidate = predicted(tmp_path, 10), predicted(tmp_path, 10, quantized=10)
    band = ratio_band(BOARD, base, candidate)
    assert band.ratio < 1 < band.high, "int8 is predicted to be faster, and the band does not carry that"
    assert any("int8" in reason for reason in band.reasons)


def test_factor_of_a_precision_cancels_where_both_have_it(tmp_path: Path) -> None:
    base, candidate = predicted(tmp_path, 10, quantized=10), predicted(tmp_path, 11, quantized=11)
    assert half_width(base, candidate) < half_width(predicted(tmp_path, 10), candidate) / 3


def test_order_of_the_sides_only_turns_the_band_over(tmp_path: Path) -> None:
    base, candidate = predicted(tmp_path, 10), predicted(tmp_path, 12, quantized=6)
    there, back = ratio_band(BOARD, base, candidate), ratio_band(BOARD, candidate, base)
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))


def test_doubts_about_precisions_are_those_of_the_predictor() -> None:
    known = {name: doubt for name, doubt in onnxruntime_cpu._DOUBT.items() if name in ratio._DOUBT_OF_PRECISION}
    assert known
    assert {name: ratio._DOUBT_OF_PRECISION[name] for name in known} == known
