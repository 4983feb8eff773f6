"""The item of a check that counts operations in low precision: those that compute, wherever they are."""

from pathlib import Path

import numpy as np
from onnx import helper

from edgesim import profiles
from edgesim.jobs.check_items import low_precision
from edgesim.models.repository import Model
from tests.unit.predictions.test_arithmetic import model, zeros

BOARD = profiles.load("raspberry-pi-5")


def finding(of: Model) -> str:
    request = {tensor.name: zeros(*tensor.shape) for tensor in of.inputs}
    return "; ".join(item.finding for item in low_precision(of, request, BOARD, {}, "emulated"))


def test_quantizing_and_dequantizing_are_no_operations_in_low_precision(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"]),
        helper.make_node("MatMul", ["d", "v"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "s", "z"], ["y"]),
    ]
    weights: dict[str, np.ndarray] = {
        "s": np.array(0.1, np.float32),
        "z": np.array(0, np.int8),
        "w": np.zeros((8, 8), np.int8),
    }
    assert "1 quantized operations" in finding(model(tmp_path / "q.onnx", nodes, {"x": [1, 8]}, weights))


def test_recurrent_layers_and_weights_of_four_bits_are_counted(tmp_path: Path) -> None:
    recurrent = helper.make_node(
        "DynamicQuantizeLSTM",
        ["x", "w", "r", "", "", "", "", "", "ws", "wz", "rs", "rz"],
        ["", "y"],
        domain="com.microsoft",
        hidden_size=16,
    )
    weights: dict[str, np.ndarray] = {"w": np.zeros((1, 8, 64), np.int8), "r": np.zeros((1, 16, 64), np.int8)}
    weights |= {"ws": np.ones(1, np.float32), "rs": np.ones(1, np.float32)}
    weights |= {"wz": np.zeros(1, np.int8), "rz": np.zeros(1, np.int8)}
    dynamic = model(tmp_path / "l.onnx", [recurrent], {"x": [4, 1, 8]}, weights, opsets={"com.microsoft": 1})
    assert "1 quantized operations" in finding(dynamic)
    packed = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=64, N=8, bits=4, block_size=32
    )
    blocks = {"w": np.zeros((8, 2, 16), np.uint8), "s": zeros(16)}
    bits = model(tmp_path / "b.onnx", [packed], {"x": [1, 64]}, blocks, opsets={"com.microsoft": 1})
    assert "1 quantized operations" in finding(bits)
