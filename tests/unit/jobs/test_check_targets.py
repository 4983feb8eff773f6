"""The check's items for accelerators: whether the runtime of the board's release takes a model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim import profiles
from edgesim.jobs import check_targets
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.results.verdict import Item

FP16, FP32, INT8 = (f"gpu:tensorrt-{precision}" for precision in ("fp16", "fp32", "int8"))


def model(path: Path, *nodes: onnx.NodeProto, weights: Sequence[onnx.TensorProto] = (), opset: int = 13) -> Model:
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [1, 4]), ("y", None))
    )
    graph = helper.make_graph(list(nodes), "net", [x], [y], list(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path / "net.onnx")
    return repository.find(str(path / "net.onnx"))


def items(profile: str | DeviceProfile, model: Model, *targets: str) -> dict[str, Item]:
    board = profiles.load(profile)
    return {item.name: item for item in check_targets.items(board, model, targets or None)}


@pytest.fixture
def relu(tmp_path: Path) -> Model:
    return model(tmp_path, helper.make_node("Relu", ["x"], ["y"]))


def test_a_model_that_the_release_documents_passes_in_every_precision_with_a_fast_path(relu: Model) -> None:
    found = items("jetson-orin-nano", relu)
    assert {name: item.verdict for name, item in found.items()} == {FP16: "PASS", FP32: "PASS", INT8: "PASS"}
    assert "TensorRT 10.3 takes its one kind of operation, by its documentation" in found[FP16].finding
    assert found[FP32].finding == f"as {FP16}"
    assert "int8 takes calibration data" in found[INT8].finding


@pytest.mark.parametrize("board", ["jetson-nano", "jetson-tx2"])
def test_int8_fails_on_a_gpu_without_a_fast_path_for_it(relu: Model, board: str) -> None:
    found = items(board, relu)
    assert (found[FP16].verdict, found[INT8].verdict) == ("PASS", "FAIL")
    assert found[INT8].finding.startswith("int8 has no fast path on the ")
    alone = items(board, relu, INT8)
    assert list(alone) == [INT8]
    assert "TensorRT 8.2 takes its one kind of operation" in alone[INT8].finding


def test_an_operation_that_the_release_lacks_fails_with_what_would_fall_back(tmp_path: Path) -> None:
    nodes = (helper.make_node("NonZero", ["x"], ["n"], name="where"), helper.make_node("Cast", ["n"], ["y"], to=1))
    net = model(tmp_path, *nodes)
    old, new = items("jetson-nano", net, FP16)[FP16], items("jetson-orin-nano", net, FP16)[FP16]
    assert (old.verdict, new.verdict) == ("FAIL", "PASS")
    assert "TensorRT 8.2 does not take NonZero (1 node, where): not among its operators" in old.finding
    assert "would give TensorRT 1 part and leave 1 node to CUDA or the CPU (1 NonZero)" in old.finding
    assert old.figures == {"parts": 1.0, "left": 1.0}


def test_what_nobody_says_is_inconclusive(tmp_path: Path) -> None:
    found = items("jetson-orin-nano", model(tmp_path, helper.make_node("Gelu", ["x"], ["y"]), opset=20))
    assert {item.verdict for item in found.values()} == {"INCONCLUSIVE"}
    assert "TensorRT 10.3 leaves open Gelu (1 node): no source says" in found[FP16].finding


def test_a_quantized_model_runs_in_int8_alone(tmp_path: Path) -> None:
    weights = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in (("s", np.float32(1)), ("z", np.int8(0)))
    ]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])]
    net = model(tmp_path, *nodes, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]), weights=weights)
    of_orin, of_nano = items("jetson-orin-nano", net), items("jetson-nano", net)
    assert [of_orin[name].verdict for name in (FP16, FP32, INT8)] == ["FAIL", "FAIL", "PASS"]
    assert {item.verdict for item in of_nano.values()} == {"FAIL"}
    assert "which has no fast path here" in of_nano[FP16].finding


def test_an_accelerator_without_a_list_of_operations_is_inconclusive(relu: Model) -> None:
    assert {item.verdict for item in items("rk3588", relu).values()} == {"INCONCLUSIVE"}
    assert items("raspberry-pi-4", relu) == {}


def test_a_release_that_the_profile_does_not_state_or_edgesim_does_not_know_is_inconclusive(relu: Model) -> None:
    board = profiles.load("jetson-nano")
    (gpu,) = board.accelerators
    assert gpu.runtime is not None
    for version, words in (
        (None, "does not say which release"),
        ("7.1", "no list of the operations that TensorRT 7.1"),
    ):
        runtime = gpu.runtime.model_copy(update={"version": version})
        changed = board.model_copy(update={"accelerators": (gpu.model_copy(update={"runtime": runtime}),)})
        item = next(check_targets.items(changed, relu))
        assert item.verdict == "INCONCLUSIVE"
        assert words in item.finding


def test_weights_that_do_not_fit_beside_the_cpu_s_programs_fail(relu: Model) -> None:
    board = profiles.load("jetson-nano")
    room = int(board.memory.usable_bytes or 0)
    (gpu,) = board.accelerators
    changed = board.model_copy(update={"accelerators": (gpu.model_copy(update={"context_bytes": room + 1}),)})
    item = next(check_targets.items(changed, relu))
    assert item.verdict == "FAIL"
    assert "a context about 3.4 GiB, activations an unknown amount more, of the 3.4 GiB that" in item.finding


def test_what_a_context_takes_is_told_where_the_profile_has_it_and_called_unknown_elsewhere() -> None:
    digits = repository.find("digits")
    nano = next(check_targets.items(profiles.load("jetson-nano"), digits))
    orin = next(check_targets.items(profiles.load("jetson-orin-nano"), digits))
    assert "a context about 650.0 MiB, activations an unknown amount more" in nano.finding
    assert "a context and activations an unknown amount more" in orin.finding
