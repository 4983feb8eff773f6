"""The item of a check that counts operations in low precision: those that compute, wherever they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgesim import profiles
from edgesim.jobs import check_precision
from edgesim.models.repository import Model
from edgesim.options import Execution
from edgesim.profiles import DeviceProfile
from tests.unit.predictions.test_arithmetic import model, zeros

BOARD = profiles.load("raspberry-pi-5")


def finding(of: Model, profile: DeviceProfile = BOARD, features: Sequence[str] = ()) -> str:
    request = {tensor.name: zeros(*tensor.shape) for tensor in of.inputs}
    found = check_precision.items(of, request, profile, {"cpu_features": features}, "emulated")
    return "; ".join(item.finding for item in found)


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
    assert "1 quantized operation on" in finding(model(tmp_path / "q.onnx", nodes, {"x": [1, 8]}, weights))


@pytest.mark.parametrize(
    ("features", "kernels"),
    [
        (("avx2", "avx512bw", "avx512_vnni"), "VNNI"),
        (("avx2",), "AVX2"),
        (("asimddp",), "dot product"),
        (("fp",), "plain"),
    ],
)
def test_kernels_of_int8_are_named_as_the_core_has_them(
    tmp_path: Path, features: tuple[str, ...], kernels: str
) -> None:
    integers = model(
        tmp_path / "i.onnx",
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": [1, 8]},
        {"w": np.zeros((8, 8), np.int8)},
        types={"x": TensorProto.INT8, "y": TensorProto.INT32},
    )
    assert f"1 quantized operation on {kernels} kernels" in finding(integers, profiles.load("x86-gateway"), features)


def test_fp16_on_x86_is_computed_in_fp32_and_bf16_is_named_as_itself(tmp_path: Path) -> None:
    halves = [helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16), helper.make_node("Relu", ["h"], ["y"])]
    half = model(tmp_path / "h.onnx", halves, {"x": [1, 8]}, types={"y": TensorProto.FLOAT16})
    assert "2 operations in FP16, computed in FP32;" in finding(half, profiles.load("x86-gateway"), ["avx512_fp16"])
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)
    brain = model(tmp_path / "b.onnx", [cast], {"x": [1, 8]}, types={"y": TensorProto.BFLOAT16})
    assert finding(brain).startswith("1 operation on BF16, which the runtime computes in FP32")


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
    assert "1 quantized operation on" in finding(dynamic)
    packed = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=64, N=8, bits=4, block_size=32
    )
    blocks = {"w": np.zeros((8, 2, 16), np.uint8), "s": zeros(16)}
    bits = model(tmp_path / "b.onnx", [packed], {"x": [1, 64]}, blocks, opsets={"com.microsoft": 1})
    assert "1 quantized operation on" in finding(bits)


@pytest.mark.parametrize(
    ("execution", "extra", "word"),
    [
        ("same-architecture", ["asimddp", "sve"], "INCONCLUSIVE"),
        ("same-architecture", ["atomics"], "PASS"),  # decides no kernel
        ("native", ["asimddp"], "PASS"),
        ("emulated", [], "PASS"),
    ],
)
def test_quantized_answers_of_another_core_decide_nothing(
    tmp_path: Path, execution: Execution, extra: list[str], word: str
) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "w"], ["y"]),
    ]
    quantized = model(
        tmp_path / "q.onnx", nodes, {"x": [4]}, {"w": np.zeros((4, 4), np.uint8)}, types={"y": TensorProto.INT32}
    )
    profile = profiles.load("jetson-nano")
    description = {"cpu_features": [*profile.cpu.features, *extra]}
    request = {"x": np.zeros(4, np.float32)}
    (item,) = check_precision.items(quantized, request, profile, description, execution)
    assert item.verdict == word
    assert ("differ in asimddp, sve" in item.finding) == (word == "INCONCLUSIVE")
