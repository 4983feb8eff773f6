"""Which releases of ONNX Runtime load a model, by its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.images import runtime_releases
from edgesim.models import repository, runtime_kernels, runtime_support
from edgesim.models.runtime_kernels import Use
from edgesim.models.runtime_support import Needs


def needs(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    opset: int = 17,
    ir_version: int = 8,
    kind: int = TensorProto.FLOAT,
    output: int | None = None,
    weights: list[onnx.TensorProto] | None = None,
) -> Needs:
    x = helper.make_tensor_value_info("x", kind, [1, 2])
    y = helper.make_tensor_value_info("y", output if output is not None else kind, None)
    domains = ("com.microsoft", "ai.onnx.ml", "my.own")
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), path)
    return Needs.of(repository.find(path))


def relu(name: str = "Relu", domain: str = "") -> list[onnx.NodeProto]:
    return [helper.make_node(name, ["x"], ["y"], domain=domain)]


@pytest.mark.parametrize(
    ("opset", "ir_version", "release", "words"),
    [
        (17, 8, "1.11.1", "opset 17; it loads up to 16"),
        (17, 8, "1.12.0", None),
        (13, 10, "1.17.3", "IR version 10; it loads up to 9"),
        (13, 10, "1.18.0", None),
        (21, 8, "1.17.3", "opset 21; it loads up to 20"),
        (21, 8, "1.99.0", None),
    ],
)
def test_a_release_refuses_a_newer_opset_and_ir_version(
    tmp_path: Path, opset: int, ir_version: int, release: str, words: str | None
) -> None:
    assert needs(tmp_path / "m.onnx", relu(), opset=opset, ir_version=ir_version).refusal(release) == words


def test_an_operation_needs_the_first_release_with_a_kernel_for_it(tmp_path: Path) -> None:
    # Identity of opset 21 takes 4-bit types: the kernel of 1.17 ends before it.
    attention = needs(tmp_path / "a.onnx", relu("GroupQueryAttention", "com.microsoft"))
    assert attention.refusal("1.17.3") == (
        "no kernel for com.microsoft.GroupQueryAttention, which 1.18.1 is the first to have"
    )
    assert attention.refusal("1.18.0") is None
    assert needs(tmp_path / "g.onnx", relu("Gelu", "com.microsoft")).refusal("1.16.3") is None


def test_operations_in_branches_count(tmp_path: Path) -> None:
    def branch(name: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2])
        return helper.make_graph([helper.make_node(name, ["x"], ["out"], domain="com.microsoft")], name, [], [out])

    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    either = helper.make_node("If", ["c"], ["y"], then_branch=branch("Gelu"), else_branch=branch("MoE"))
    assert "com.microsoft.MoE" in (needs(tmp_path / "m.onnx", [condition, either]).refusal("1.20.1") or "")


def test_an_operation_that_a_runtime_can_take_apart_needs_no_kernel(tmp_path: Path) -> None:
    assert needs(tmp_path / "m.onnx", relu("Mish"), opset=18).refusal("1.16.3") is None


def test_every_release_that_can_be_chosen_is_measured_or_has_a_measured_neighbour(tmp_path: Path) -> None:
    plain = needs(tmp_path / "m.onnx", relu(), opset=13, ir_version=7)
    assert [version for version in runtime_releases.VERSIONS if plain.refusal(version) is not None] == []


def op(name: str, inputs: str = "x", outputs: str = "y", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(name, inputs.split(), outputs.split(), domain=domain, **attributes)


@pytest.mark.parametrize(
    ("kind", "opset", "lacks", "first"),
    [(TensorProto.UINT8, 14, "1.20.1", "1.21.1"), (TensorProto.INT16, 14, "1.16.3", "1.21.1")],
)
def test_a_type_needs_the_first_release_with_a_kernel_for_it(
    tmp_path: Path, kind: int, opset: int, lacks: str, first: str
) -> None:
    found = needs(tmp_path / "m.onnx", [op("Add", "x x")], opset=opset, kind=kind)
    name = TensorProto.DataType.Name(kind).lower()
    assert found.refusal(lacks) == f"no kernel for Add of opset 14 with {name}, which {first} is the first to have"
    assert found.refusal(first) is None


@pytest.mark.parametrize(
    ("kind", "opset", "lacks", "first"),
    [(TensorProto.INT4, 21, "1.18.1", "1.19.2"), (TensorProto.FLOAT8E5M2, 19, "1.15.1", "1.16.3")],
)
def test_a_type_within_a_model_needs_the_first_release_that_knows_it(
    tmp_path: Path, kind: int, opset: int, lacks: str, first: str
) -> None:
    nodes = [op("QuantizeLinear", "x s z", "q"), op("DequantizeLinear", "q s z")]
    weights = [helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]), helper.make_tensor("z", kind, [], [0])]
    found = needs(tmp_path / "m.onnx", nodes, opset=opset, ir_version=9, weights=weights)
    name = TensorProto.DataType.Name(kind).lower()
    assert found.refusal(lacks) == f"tensors of {name}, which {first} is the first to have"
    assert found.refusal(first) is None


def test_half_precision_needs_no_kernel_of_its_own(tmp_path: Path) -> None:
    # Neither release has Gelu or TopK of FP16 on x86: both compute in FP32, between casts.
    halves = needs(tmp_path / "m.onnx", [op("Gelu", domain="com.microsoft")], kind=TensorProto.FLOAT16)
    assert halves.refusal("1.16.3") is None


def test_a_type_that_no_kernel_takes_is_refused_by_all_releases(tmp_path: Path) -> None:
    weights = [numpy_helper.from_array(np.ones((1, 1, 3, 3)), "w")]
    double = needs(tmp_path / "m.onnx", [op("Conv", "x w")], kind=TensorProto.DOUBLE, weights=weights)
    assert (
        double.refusal(runtime_support.newest()) == "no kernel for Conv of opset 11 with double, which no release has"
    )


def test_what_onnx_does_not_define_is_refused_by_all_releases(tmp_path: Path) -> None:
    newest = runtime_support.newest()
    of_bool = needs(tmp_path / "b.onnx", [op("Relu")], kind=TensorProto.BOOL)
    assert of_bool.refusal(newest) == "Relu of opset 14 does not take bool as X"
    gone = needs(tmp_path / "u.onnx", [op("Upsample", "x x")])
    assert gone.refusal(newest) == "Upsample is gone from opset 10 on"
    mixed = needs(tmp_path / "a.onnx", [op("Cast", outputs="d", to=TensorProto.DOUBLE), op("Add", "x d")])
    assert "does not take" in (mixed.refusal(newest) or "")


def test_a_custom_operation_is_refused_unless_a_library_is_named(tmp_path: Path) -> None:
    own = needs(tmp_path / "m.onnx", [op("Twice", domain="my.own")])
    assert own.refusal("1.31.1") == "my.own.Twice: a custom operation, which takes a library"
    model = replace(repository.find(tmp_path / "m.onnx"), host_libraries=("ops.so",))
    assert Needs.of(model).refusal("1.31.1") is None
    unknown = needs(tmp_path / "u.onnx", [op("NoSuch", domain="com.microsoft")])
    assert unknown.refusal("1.31.1") == "no kernel for com.microsoft.NoSuch, which no release has"


@pytest.mark.parametrize(
    ("release", "refused"), [("1.11.1", True), ("1.13.1", True), ("1.14.1", False), ("1.16.3", False)]
)
def test_operations_of_releases_that_list_no_kernels_are_known_too(tmp_path: Path, release: str, refused: bool) -> None:
    found = needs(tmp_path / "m.onnx", [op("QuickGelu", domain="com.microsoft")], opset=15)
    assert (found.refusal(release) is not None) == refused


@pytest.mark.parametrize(("bits", "lacks", "first"), [(4, "1.15.1", "1.16.3"), (8, "1.21.1", "1.22.1")])
def test_weights_of_few_bits_need_the_first_release_that_unpacks_them(
    tmp_path: Path, bits: int, lacks: str, first: str
) -> None:
    sizes: dict[str, Any] = {"K": 32, "N": 4, "bits": bits, "block_size": 32}
    weights = [
        numpy_helper.from_array(np.ones((4, 1, 4 * bits), np.uint8), "b"),
        numpy_helper.from_array(np.ones(4, np.float32), "s"),
    ]
    node = op("MatMulNBits", "x b s", domain="com.microsoft", **sizes)
    found = needs(tmp_path / "m.onnx", [node], weights=weights)
    assert found.refusal(lacks) is not None
    assert found.refusal(first) is None


@pytest.mark.parametrize(
    ("opset", "kind", "release", "refused"),
    [
        (21, np.int8, "1.18.1", True),
        (21, np.int8, "1.19.2", True),
        (21, np.int8, "1.20.1", False),
        (13, np.int8, "1.18.1", False),
        (21, np.int16, "1.18.1", False),  # ONNX Runtime fuses products of bytes alone
    ],
)
def test_a_quantized_product_needs_the_kernel_that_the_runtime_makes_of_it(
    tmp_path: Path, opset: int, kind: type[np.generic], release: str, refused: bool
) -> None:
    weights = [
        numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.zeros((), kind), "z"),
    ]
    weights.append(numpy_helper.from_array(np.ones((2, 2), kind), "w"))
    nodes = [
        op("QuantizeLinear", "x s z", "q"),
        op("DequantizeLinear", "q s z", "d"),
        op("DequantizeLinear", "w s z", "e"),
        op("MatMul", "d e", "p"),
        op("QuantizeLinear", "p s z", "r"),
        op("DequantizeLinear", "r s z"),
    ]
    why = needs(tmp_path / "m.onnx", nodes, opset=opset, ir_version=10, weights=weights).refusal(release)
    assert (why is not None) == refused
    assert not refused or "QLinearMatMul" in (why or "")


def test_the_table_has_each_kernel_of_this_host_s_release() -> None:
    own = onnxruntime.__version__
    if own not in runtime_support.releases():
        # A release that came out after the last `python -m benchmarks.runtime_support` has no row to compare with.
        pytest.skip(f"ONNX Runtime {own} was not measured")
    state = onnxruntime.capi.onnxruntime_pybind11_state
    kernels = [kernel for kernel in state.get_all_opkernel_def() if kernel.provider == "CPUExecutionProvider"]
    assert len(kernels) > 1000
    for kernel in kernels:
        types = {name: each[0] for name, each in kernel.type_constraints.items()}
        plain = tuple((name, kind.removeprefix("tensor(").removesuffix(")")) for name, kind in types.items())
        simple = tuple(pair for pair, kind in zip(plain, types.values(), strict=True) if kind.startswith("tensor("))
        use = Use(domain=kernel.domain, name=kernel.op_name, since=kernel.version_range[0], types=simple)
        assert runtime_kernels.refusal(use, own) is None, use
